// SPDX-License-Identifier: Apache-2.0
//
// A user's own meta-object, built outside the tree from installed headers: writes how often each
// event came to the file COUNTING_FILE.PID, where PID is the kernel's.
#include <auxin/meta_request_lifecycle.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

namespace {

class Counting : public auxin::MetaRequestLifecycle {
 public:
  Counting() {
    char path[512];
    snprintf(path, sizeof path, "%s.%ld", getenv("COUNTING_FILE"), syscall(SYS_getpid));
    file_ = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  }
  void requestHasBeenReceived(const auxin::RequestId&) override { ++received_; }
  void requestBeforeApplication(const auxin::RequestId&) override { ++before_; }
  void requestAfterApplication(const auxin::RequestId&) override { ++after_; }
  void requestAfterContentionPoint(const auxin::RequestId&,
                                   const auxin::RequestContentionPoint&) override {
    ++contention_points_;
  }
  void replyHasBeenSent(const auxin::RequestId&) override {
    ++sent_;
    char line[128];
    const int size = snprintf(line, sizeof line, "%-8ld %-8ld %-8ld %-8ld %-8ld\n",
                              received_.load(), before_.load(), after_.load(),
                              contention_points_.load(), sent_.load());
    syscall(SYS_pwrite64, file_, line, static_cast<size_t>(size), 0L);
  }

 private:
  int file_;
  std::atomic<long> received_{0}, before_{0}, after_{0}, contention_points_{0}, sent_{0};
};

}  // namespace

extern "C" auxin::MetaRequestLifecycle* auxin_meta_object(std::uint32_t abi_version) {
  return abi_version == AUXIN_META_OBJECT_ABI ? new Counting : nullptr;
}
