// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/image_child.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstring>

#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {

bool page_differs(NamedRegion& region, uint64_t index, const void* page) {
  const PageDigest digest = page != nullptr ? digest_of_page(page) : digest_of_zeros();
  if (region.digests[index] == digest) return false;
  region.digests[index] = digest;
  return true;
}

int ImageChild::start(const Task* tasks, uint64_t count, Staging& staging, bool carefully) {
  shared_[0] = Shared{staging.used(), 0, 0};
  digest_of_zeros();  // made before the fork: its first use takes a lock
  // No signal when it ends: SIGCHLD is the application's.
  const long process = os::raw_syscall(SYS_clone, 0);
  if (process == 0) run(tasks, count, staging, carefully);
  if (process < 0) return static_cast<int>(-process);
  process_ = process;
  return 0;
}

void ImageChild::run(const Task* tasks, uint64_t count, Staging& staging, bool carefully) {
  // If the parent dies, its locks and connections must end with it, not with this child.
  os::raw_syscall(SYS_close_range, 0, static_cast<long>(UINT32_MAX), 0);
  alignas(64) char scratch[kPageBytes];
  for (uint64_t i = 0; i < count; ++i) {
    const Task& task = tasks[i];
    NamedRegion& region = *task.region;
    for (uint64_t page = task.first; page < task.first + task.count; ++page) {
      const char* from =
          task.kind == RunKind::kChanged ? region.page_contents(page, scratch, carefully) : nullptr;
      if (from == nullptr && task.kind == RunKind::kChanged) {
        shared_[0].unreadable = region.first_page() + page * kPageBytes;
        for (;;) os::raw_syscall(SYS_exit_group, 0);
      }
      if (!page_differs(region, page, from)) continue;
      Slot& slot = region.slots[page];
      if (from == nullptr) {
        slot = kZeroSlot;
        continue;
      }
      if (slot == kNoSlot || slot == kZeroSlot) slot = staging.take(1);
      std::memcpy(staging.at(slot), from, kPageBytes);
    }
  }
  shared_[0].used = staging.used();
  __atomic_store_n(&shared_[0].done, 1, __ATOMIC_RELEASE);
  for (;;) os::raw_syscall(SYS_exit_group, 0);
}

bool ImageChild::wait(uint64_t* used) {
  if (process_ <= 0) return false;
  int status = 0;
  long got;
  do {
    got = os::raw_syscall(SYS_wait4, process_, reinterpret_cast<long>(&status), __WALL, 0);
  } while (got == -EINTR);
  // A child that somebody else has waited for has ended too; what it has done tells.
  process_ = 0;
  *used = shared_[0].used;
  return __atomic_load_n(&shared_[0].done, __ATOMIC_ACQUIRE) == 1;
}

void ImageChild::kill_and_wait() {
  if (process_ <= 0) return;
  os::raw_syscall(SYS_kill, process_, SIGKILL);
  uint64_t used = 0;
  wait(&used);
}

}  // namespace auxin::checkpoint
