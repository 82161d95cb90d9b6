// SPDX-License-Identifier: Apache-2.0
//
// std::atomic::wait: code in line, down to the futex call.
#include <atomic>

static std::atomic<int> number;
static std::atomic<bool> flag;

extern "C" void wait_for_both() {
  number.wait(0);
  flag.wait(false);
}
extern "C" void tell_both() {
  number.store(1);
  number.notify_all();
  flag.store(true);
  flag.notify_one();
}
