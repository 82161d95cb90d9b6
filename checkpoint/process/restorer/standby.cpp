// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/restorer/standby.h"

#include <errno.h>
#include <string.h>

#include "checkpoint/process/restorer/freestanding.h"
#include "checkpoint/process/restorer/memory.h"
#include "checkpoint/process/restorer/regions.h"

namespace auxin::restorer {
namespace {

using os::raw_syscall;

constexpr size_t kPathSizeBytes = 4096;
constexpr short kReadable = 1;  // POLLIN

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

}  // namespace

Segment stand_by(const StandbyOptions& options, Segment last, uint64_t free_address,
                 CheckBinding check_binding) {
  Standby standby(last, free_address, check_binding);
  int updates = options.updates_from;
  for (;;) {
    Waited waited[2] = {{options.wait_for, kReadable, 0}, {updates, kReadable, 0}};
    if (raw_syscall(SYS_poll, reinterpret_cast<long>(waited), 2, -1) <= 0) continue;
    if (waited[1].revents != 0) {
      if (standby.read_updates(updates)) continue;
      raw_syscall(SYS_close, updates);
      updates = -1;
    } else if (waited[0].revents != 0) {
      break;
    }
  }
  raw_syscall(SYS_close, options.wait_for);
  if (updates >= 0) raw_syscall(SYS_close, updates);
  return standby.last();
}

}  // namespace auxin::restorer
