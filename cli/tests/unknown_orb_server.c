/* SPDX-License-Identifier: Apache-2.0 */
/* A server of an ORB version for which there is no join-point map. */
int auxin_test_library(void);
int main(void) { return auxin_test_library(); }
