// SPDX-License-Identifier: Apache-2.0
//
// libauxin_hooks_test.so: the hooks with no style at all. Every call must reach libc unchanged, or
// the kernel, where libc would give it a wrong number.
#include "libmeta_os/facets.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "libmeta_os/thread_numbers.h"

// A shared library needs a source of its own; the hooks come as objects.
static_assert(sizeof(auxin::os::Facets) > 0);

namespace {

// AUXIN_TEST_RESTORED: as in a restored process, where the kernel's number of a thread is asked
// for. Here it is the one that libc has, too.
uint64_t number_offset = 0;

[[gnu::constructor]] void as_in_a_restored_process() {
  if (getenv("AUXIN_TEST_RESTORED") == nullptr) return;
  uint64_t number_address = 0;
  auxin::os::raw_syscall(SYS_prctl, PR_GET_TID_ADDRESS, reinterpret_cast<long>(&number_address));
  number_offset = number_address - static_cast<uint64_t>(pthread_self());
  auxin::os::number_of_restored_thread.store([](pthread_t thread) {
    return *reinterpret_cast<const int*>(static_cast<uint64_t>(thread) + number_offset);
  });
}

}  // namespace
