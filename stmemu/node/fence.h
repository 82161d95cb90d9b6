// SPDX-License-Identifier: Apache-2.0
//
// The end of other processes' transactions: after a death, and before the memory changes hands.
//
// That a process's node thread has died does not mean that its other threads have: some live on
// for milliseconds. Each holds its context's lock for as long as it may store (board.h), so these
// locks are the fence, and it blocks on them: the dying need the processor. In mode kIsolated the
// controller stores for them: it is waited for, too, while it lives.
//
// Thread safety: any thread.
#pragma once

#include <functional>

#include "stmemu/memory/physical_memory.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {

struct Fenced {
  Findings findings;
  uint64_t waited_ns = 0;  // for threads that were still dying, and the controller
  uint32_t contexts = 0;   // that had to be ended
};

// Ends all that dead threads left, and all that threads of `process` leave, whose node thread has
// died or is gone; `holder` is closed (NodeWords), so none of them begins anything new. Blocks
// until they are dead; sees to it with SIGKILL after a while if `started_ticks` is known. A SIGKILL
// of the caller leaves some contexts ended and some not: it can be done again. `each_round` is
// called before each of them, and every few milliseconds while it waits.
Fenced fence_process(PhysicalMemory& memory, uint32_t process, uint64_t started_ticks,
                     const std::function<void()>& each_round);

// Waits until no transaction runs in this process (`others`: in another one), new ones being
// refused already. `each_round` is called every millisecond or so; false ends the waiting.
// False: some transaction still runs.
bool wait_for_quiet(PhysicalMemory& memory, bool others, uint64_t timeout_us,
                    const std::function<bool()>& each_round);

}  // namespace auxin::stm
