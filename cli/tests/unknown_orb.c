/* SPDX-License-Identifier: Apache-2.0 */
/* A library that does nothing, under whatever name the test needs. */
int auxin_test_library(void) { return 0; }
