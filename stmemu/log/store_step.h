// SPDX-License-Identifier: Apache-2.0
//
// A place just before a store to the stable log. Nothing in the product; the test that stops a
// process at its N-th store (stable_log_kill_test.cpp) compiles the log with AUXIN_STORE_STEPS and
// gives the function a body.
#pragma once

namespace auxin::stm {

#ifdef AUXIN_STORE_STEPS
void store_step();
#else
inline void store_step() {}
#endif

}  // namespace auxin::stm
