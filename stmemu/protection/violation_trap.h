// SPDX-License-Identifier: Apache-2.0
//
// Catches the faults of accesses to protected areas (SIGBUS of a window, SIGSEGV of guarded banks)
// and asks the area's owner what to do. Faults elsewhere go to whatever handler the program had.
//
// Thread safety: any thread. The judge runs in the signal handler of the thread that faulted.
#pragma once

#include <cstdint>

namespace auxin::stm {

// True: the access may be tried again (the page has been opened). False: the fault is nobody's
// business here. It may also not return (halt, or jump to where the program goes on).
using FaultJudge = bool (*)(void* owner, const void* address, bool writing);

// Watches [from, from + size) until unwatch. False: too many areas are watched already.
bool watch_area(const void* from, uint64_t size_bytes, FaultJudge judge, void* owner);
void unwatch_areas(void* owner);

}  // namespace auxin::stm
