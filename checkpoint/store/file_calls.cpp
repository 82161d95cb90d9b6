// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/file_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "stmemu/file.h"

namespace auxin::checkpoint {
namespace {

constinit std::atomic<FileCalls::BeforeStep> before_step{nullptr};

void about_to(FileStep step) {
  if (const FileCalls::BeforeStep before = before_step.load(std::memory_order_relaxed)) {
    before(step);
  }
}

// A file that grows beyond RLIMIT_FSIZE would end the process by SIGXFSZ; the error is enough. The
// signal is blocked for this thread, and one that came is taken.
class NoSizeSignal {
 public:
  NoSizeSignal() {
    sigemptyset(&signal_);
    sigaddset(&signal_, SIGXFSZ);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGXFSZ) == 1;
    pthread_sigmask(SIG_BLOCK, &signal_, &before_);
  }
  ~NoSizeSignal() {
    if (!was_pending_) {
      const timespec at_once{};
      while (sigtimedwait(&signal_, nullptr, &at_once) == SIGXFSZ) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t signal_, before_;
  bool was_pending_ = false;
};

int write_all(int fd, const void* bytes, uint64_t size_bytes) {
  constexpr uint64_t kAtOnce = uint64_t{8} << 20;
  const char* at = static_cast<const char*>(bytes);
  while (size_bytes != 0) {
    about_to(FileStep::kWrite);
    const long written = syscall(SYS_write, fd, at, std::min(size_bytes, kAtOnce));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : EIO;
    at += written;
    size_bytes -= static_cast<uint64_t>(written);
  }
  return 0;
}

}  // namespace

void FileCalls::set_before_step(BeforeStep before) { before_step.store(before); }

Outcome file_failure(const std::string& path, const std::string& what, int error) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return failure(full ? AUXIN_CHECKPOINT_NO_SPACE : AUXIN_CHECKPOINT_INPUT_OUTPUT,
                 stm::file_error(path, what, error).message);
}

Outcome FileCalls::write_file(int directory, const std::string& path, const std::string& name,
                              const void* first, uint64_t first_bytes, const void* second,
                              uint64_t second_bytes, bool sync) {
  const NoSizeSignal no_signal;
  const std::string unfinished = kUnfinishedPrefix + name;
  about_to(FileStep::kCreate);
  const int number =
      static_cast<int>(syscall(SYS_openat, directory, unfinished.c_str(),
                               O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  stm::FileDescriptor file(number);
  if (!file.valid()) return file_failure(path + "/" + unfinished, "can't be created", errno);
  int error = write_all(file.get(), first, first_bytes);
  if (error == 0) error = write_all(file.get(), second, second_bytes);
  if (error == 0 && sync) {
    about_to(FileStep::kSync);
    if (fsync(file.get()) != 0) error = errno;
  }
  if (error == 0) {
    about_to(FileStep::kRename);
    if (renameat(directory, unfinished.c_str(), directory, name.c_str()) != 0) error = errno;
  }
  if (error != 0) {
    unlinkat(directory, unfinished.c_str(), 0);
    return file_failure(path + "/" + name, "can't be written", error);
  }
  if (!sync) return Outcome::ok();
  about_to(FileStep::kSyncDirectory);
  if (fsync(directory) == 0) return Outcome::ok();
  error = errno;
  unlinkat(directory, name.c_str(), 0);
  return file_failure(path, "can't be synchronised", error);
}

Outcome FileCalls::remove(int directory, const std::string& path, const std::string& name) {
  about_to(FileStep::kRemove);
  if (unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) return Outcome::ok();
  return file_failure(path + "/" + name, "can't be removed", errno);
}

}  // namespace auxin::checkpoint
