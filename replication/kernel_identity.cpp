// SPDX-License-Identifier: Apache-2.0
#include "replication/kernel_identity.h"

#include <linux/futex.h>

#include <atomic>

#include "libmeta_os/raw_syscall.h"
#include "libmeta_os/real_calls.h"

namespace auxin::replication {
namespace {

// Of the thread's number in what the thread pointer points to; 0: not in a restored process.
uint64_t number_offset = 0;

std::atomic<uint32_t> inside{0};
thread_local constinit bool begins_anew = false;

template <typename Call>
int as_shown(Call call) {
  if (number_offset == 0) [[likely]] return call();
  auto* number = reinterpret_cast<int*>(
      static_cast<char*>(__builtin_thread_pointer()) + number_offset);
  const int shown = *number;
  *number = static_cast<int>(os::raw_syscall(SYS_gettid));
  const int result = call();
  *number = shown;
  return result;
}

template <typename Call>
int with_kernel_number(Call call) {
  if (begins_anew) return as_shown(call);
  inside.fetch_add(1);
  const int result = as_shown(call);
  inside.fetch_sub(1);
  return result;
}

int lock(pthread_mutex_t* mutex) {
  return with_kernel_number([=] { return os::real().pthread_mutex_lock(mutex); });
}
int try_lock(pthread_mutex_t* mutex) {
  return with_kernel_number([=] { return os::real().pthread_mutex_trylock(mutex); });
}
int lock_until(pthread_mutex_t* mutex, clockid_t clock, const timespec* deadline) {
  return with_kernel_number(
      [=] { return os::real().pthread_mutex_clocklock(mutex, clock, deadline); });
}
int unlock(pthread_mutex_t* mutex) {
  return with_kernel_number([=] { return os::real().pthread_mutex_unlock(mutex); });
}

}  // namespace

const stm::MutexCalls& real_mutex_calls() {
  static constexpr stm::MutexCalls kCalls = {lock, try_lock, lock_until, unlock,
                                             pthread_mutex_consistent};
  return kCalls;
}

bool robust_locks_are_at_rest() { return inside.load() == 0; }
void begins_anew_when_restored() { begins_anew = true; }

void leave_robust_locks(uint64_t thread_pointer, uint64_t clear_tid, uint64_t robust_list) {
  number_offset = clear_tid - thread_pointer;
  auto* head = reinterpret_cast<robust_list_head*>(robust_list);
  head->list.next = &head->list;
  head->list_op_pending = nullptr;
  // glibc's list has links in both directions: the head's backward one stands before it.
  reinterpret_cast<void**>(head)[-1] = head;
}

}  // namespace auxin::replication
