// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/restorer/standby.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <time.h>

#include "checkpoint/process/ending_process.h"
#include "checkpoint/process/restorer/freestanding.h"
#include "checkpoint/process/restorer/memory.h"
#include "checkpoint/process/restorer/regions.h"

namespace auxin::restorer {
namespace {

using os::raw_syscall;

constexpr size_t kPathSizeBytes = 4096;
constexpr short kReadable = 1;  // POLLIN

constexpr timespec kLookAtDescriptors{0, 50'000'000};
constexpr timespec kOthersEnd{0, 100'000};  // the other threads of a process that was killed

struct Waited {
  int fd;
  short events, revents;
};

// Two places in turn: a segment keeps its path until the next one has come.
char paths[2][kPathSizeBytes];

class Standby {
 public:
  Standby(Segment last, uint64_t free_address, CheckBinding check_binding)
      : last_(last), free_address_(free_address), check_binding_(check_binding) {}
  Segment last() const { return last_; }

  // False: there will be no more.
  bool read_updates(int fd) {
    static char buffer[kPathSizeBytes];
    const long got =
        raw_syscall(SYS_read, fd, reinterpret_cast<long>(buffer), sizeof buffer);
    if (got == -EINTR || got == -EAGAIN) return true;
    if (got <= 0) return false;
    for (long i = 0; i < got; ++i) {
      if (length_ == kPathSizeBytes) {
        say({"too long a path of a segment"});
        end(Exit::kRefused);
      }
      paths[turn_][length_++] = buffer[i];
      if (buffer[i] == '\0') apply();
    }
    return true;
  }

 private:
  void apply() {
    const char* path = paths[turn_];
    turn_ = 1 - turn_;
    length_ = 0;
    Segment next = open_segment(path, free_address_, &last_);
    free_address_ += next.mapped_size_bytes + checkpoint::kPageSizeBytes;
    check_binding_(next);
    check_pages(next);
    const checkpoint::ImageProcess& then = last_.header->process;
    if (next.header->process.vdso_begin != then.vdso_begin) {
      say({path, ": it is another process's"});
      end(Exit::kRefused);
    }
    change_regions(last_, next);
    fill_from(next, next);
    protect_regions(next);
    tell_kernel(next);
    close_segment(last_);
    last_ = next;
  }

  Segment last_;
  uint64_t free_address_;
  CheckBinding check_binding_;
  int turn_ = 0;
  size_t length_ = 0;
};

// A robust mutex's word. The kernel marks it as soon as its owner's thread ends; a descriptor can
// be read only when all of its process is gone, which takes the longer the more memory that had.
class OwnerWord {
 public:
  explicit OwnerWord(uint64_t address)
      : at_(reinterpret_cast<uint32_t*>(address)),
        seen_(address == 0 ? 0 : __atomic_load_n(at_, __ATOMIC_ACQUIRE)) {}

  // False: there is no word, or nobody ever held it.
  bool is_there() const { return seen_ != 0; }
  bool died() const { return (seen_ & FUTEX_OWNER_DIED) != 0; }

  // Until it changes, or it is time to look at the descriptors.
  void wait() const {
    if (!is_there()) return;
    uint32_t expected = seen_;
    const uint32_t waited_for = seen_ | FUTEX_WAITERS;  // or the kernel wakes nobody
    if (!__atomic_compare_exchange_n(at_, &expected, waited_for, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
      return;
    raw_syscall(SYS_futex, reinterpret_cast<long>(at_), FUTEX_WAIT, waited_for,
                reinterpret_cast<long>(&kLookAtDescriptors));
  }

 private:
  uint32_t* at_;
  uint32_t seen_;
};

}  // namespace

Segment stand_by(const StandbyOptions& options, Segment last, uint64_t free_address,
                 CheckBinding check_binding) {
  Standby standby(last, free_address, check_binding);
  static checkpoint::EndingProcess process(options.wait_for);
  int updates = options.updates_from;
  for (;;) {
    const OwnerWord owner(standby.last().header->process.owner_word);
    Waited waited[2] = {{options.wait_for, kReadable, 0}, {updates, kReadable, 0}};
    const long ready =
        raw_syscall(SYS_poll, reinterpret_cast<long>(waited), 2, owner.is_there() ? 0 : -1);
    if (ready > 0 && waited[1].revents != 0) {
      if (standby.read_updates(updates)) continue;
      raw_syscall(SYS_close, updates);
      updates = -1;
    } else if (ready > 0 && waited[0].revents != 0) {
      break;
    } else if (owner.died() && process.only_ends()) {
      process.keep_off_its_processors();
      break;
    } else if (owner.died()) {
      raw_syscall(SYS_nanosleep, reinterpret_cast<long>(&kOthersEnd), 0);
    } else {
      owner.wait();
    }
  }
  raw_syscall(SYS_close, options.wait_for);
  if (updates >= 0) raw_syscall(SYS_close, updates);
  return standby.last();
}

}  // namespace auxin::restorer
