// SPDX-License-Identifier: Apache-2.0
//
// What a program gets that touches stable memory it has not opened (mode kWindow), by its policy
// (paper 001, §2.2.1): halted, or its transaction aborted. Then control goes to the innermost
// atomically() of the thread, which fails; without one the program ends by the signal.
#pragma once

#include "stmemu/interface/memory_core.h"

namespace auxin::stm {

// Watches everything of the memory that the program could touch. Until the core goes.
void watch_for_trespass(MemoryCore& core);

}  // namespace auxin::stm
