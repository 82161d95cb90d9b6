// SPDX-License-Identifier: Apache-2.0
//
// The contexts of the board: each is the right of one thread to run one transaction at a time.
//
// A thread takes a context by its robust lock and keeps it until it ends, so the kernel tells when
// the thread has died, and that none of its stores can come any more. Whoever meets what such a
// thread left (an object that it had open, its context) recovers it and goes on; nothing waits for
// a supervisor.
#pragma once

#include <string>

#include "stmemu/memory/physical_memory.h"

namespace auxin::stm {

// Takes a free context for the calling thread, recovering it first if its last thread died in it.
// kContexts: all are held by living threads.
uint32_t take_context(PhysicalMemory& memory);
// By the thread that took it, without an active transaction.
void give_context_back(PhysicalMemory& memory, uint32_t context);

// Whether the transaction `activity` (OwnerWord::activity) still runs. If the thread it belonged to
// has died, ends it first: false then.
bool still_runs(PhysicalMemory& memory, uint64_t activity);

// Recovers every context whose thread has died; returns how many there were.
uint32_t recover_dead_contexts(PhysicalMemory& memory);

// Why no transaction of this process may begin while a stable node's memory is `holder`'s (board.h,
// HolderWord).
std::string why_standby(uint64_t holder);

}  // namespace auxin::stm
