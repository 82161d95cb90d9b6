// SPDX-License-Identifier: Apache-2.0
//
// Robust locks in a restored process.
//
// glibc puts its own number of a thread into a mutex, the kernel compares it with the thread's when
// the thread ends. In a restored process the two differ: glibc's is part of the memory (recursive
// and error-checking mutexes that were held must stay their owners'), the kernel's is new. A lock
// whose owner's death is to be seen must have the kernel's.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>

#include "stmemu/robust_lock.h"

namespace auxin::replication {

// libc behind the hooks; takes and releases with the kernel's number of the thread.
const stm::MutexCalls& real_mutex_calls();

// Whether a thread is inside one of these calls now. It has read its own number and may store it
// later: in another process that would be another thread's. Its own waits do not count for a thread
// that begins anew there (begins_anew_when_restored).
bool robust_locks_are_at_rest();
void begins_anew_when_restored();   // of the calling thread

// On each thread of a restored process before anything else: forgets the robust locks that its
// memory says it holds (another process does, or did), and makes the calls above do as they say.
// `clear_tid`: where glibc has the thread's number.
void leave_robust_locks(uint64_t thread_pointer, uint64_t clear_tid, uint64_t robust_list);

}  // namespace auxin::replication
