/* SPDX-License-Identifier: Apache-2.0 */
/* A program that does nothing; linked statically to be refused. */
int main(void) { return 0; }
