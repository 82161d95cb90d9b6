// SPDX-License-Identifier: Apache-2.0
//
// In a restored process: the threads are made again, each at the place where it had parked.
//
//   restorer's only thread ──▶ main thread's context: it takes back what the kernel keeps for it,
//                              unmaps the restorer, starts the saver, and parks
//   saver                  ──▶ starts all others, waits until they have parked, lets all go on
//
// A thread is its stack (with the kernel's signal frame), its FS base, the address that the kernel
// clears at its end, its robust list, its rseq area and its name.
#pragma once

#include <cstdint>

#include "checkpoint/process/parked_thread.h"

namespace auxin::checkpoint {

// What the restorer leaves for the process that it has made.
struct RestorerNote {
  uint64_t begin, end;   // where the restorer itself lies in the new process
  uint64_t parameter;    // of its command line
};

// On any thread: fills its record with what it can read of itself.
void describe_own_thread(ParkedThread& self);

// At the stop: who starts the others in a new process, and what each thread does there besides;
// `arrived` may be null.
void set_restart(const ParkedThread* saver, RestorerNote* restorer, void (*arrived)(ParkedThread&));

// On a thread that goes on in a new process, first of all.
void arrive_in_new_process(ParkedThread& self);

// On the saver in a new process: starts all but the main thread and waits until they have parked.
void restart_threads(ParkedThread& saver);

// In a restored process: the kernel's number of a thread that was there when it was saved (else 0),
// by its thread pointer, which is glibc's pthread_t. Any thread.
int32_t number_of_thread(uint64_t thread_pointer);

// On a new thread of a restored process, before anything of the program runs on it: where the
// kernel gave it the number that libc has for a thread of the saved process, libc gets one that the
// kernel never gives. Else a mutex that one of them holds would be the other's, too.
void take_number_of_its_own();
bool numbers_are_at_rest();  // with all threads stopped: whether none is in there

// The record of the main thread, perhaps the saver's own; null: it has ended.
const ParkedThread* find_main_thread(const ParkedThread& saver);

}  // namespace auxin::checkpoint
