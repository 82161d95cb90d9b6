// SPDX-License-Identifier: Apache-2.0
//
// Hooks: process and thread numbers, which differ from replica to replica.
#include "libmeta_os/hooks.h"
#include "libmeta_os/reify.h"
#include "libmeta_os/thread_numbers.h"

namespace auxin::os {

pid_t hook::getpid() {
  if (!value_wanted(AUXIN_CALL_SITE)) {
    const pid_t first = number_of_first_process.load(std::memory_order_relaxed);
    return first == 0 ? real().getpid() : first;
  }
  return facets.values->getpid();
}

pid_t hook::getppid() {
  const pid_t pid = real().getppid();
  if (!value_wanted(AUXIN_CALL_SITE)) return pid;
  return static_cast<pid_t>(facets.values->word(static_cast<uint64_t>(pid), AUXIN_CALL_SITE));
}

pid_t hook::gettid() {
  const pid_t tid = real().gettid();
  if (!value_wanted(AUXIN_CALL_SITE)) return tid;
  return static_cast<pid_t>(facets.values->word(static_cast<uint64_t>(tid), AUXIN_CALL_SITE));
}

}  // namespace auxin::os
