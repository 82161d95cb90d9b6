/* SPDX-License-Identifier: Apache-2.0 */
/* A library that does nothing but looks like libauxin.so to the command. */
void auxin_marker_enter(void) {}
