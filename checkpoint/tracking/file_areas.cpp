// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/file_areas.h"

#include <errno.h>
#include <fcntl.h>

#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {

using os::raw_syscall;

FileAreas::~FileAreas() {
  if (fd_ >= 0) raw_syscall(SYS_close, fd_);
}

// BEGIN-END PERMS OFFSET MAJOR:MINOR INODE   NAME
bool FileAreas::next() {
  if (fd_ < 0) {
    fd_ = static_cast<int>(raw_syscall(SYS_openat, AT_FDCWD,
                                       reinterpret_cast<long>("/proc/self/maps"),
                                       O_RDONLY | O_CLOEXEC));
    if (fd_ < 0) return false;
  }
  uint64_t numbers[2] = {0, 0}, inode = 0;
  int field = 0;  // 0, 1: the addresses; 2 … 4; 5: the inode; 6: the rest
  for (;;) {
    if (at_ == size_) {
      at_ = 0;
      do {
        size_ = raw_syscall(SYS_read, fd_, reinterpret_cast<long>(text_), sizeof(text_));
      } while (size_ == -EINTR);
      if (size_ <= 0) {
        size_ = 0;
        return false;
      }
    }
    const char c = text_[at_++];
    if (c == '\n') break;
    if (field < 6 && (c == ' ' || (field == 0 && c == '-'))) {
      ++field;
    } else if (field < 2) {
      numbers[field] =
          numbers[field] * 16 + static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    } else if (field == 5) {
      inode = inode * 10 + static_cast<uint64_t>(c - '0');
    }
  }
  begin_ = numbers[0];
  end_ = numbers[1];
  of_file_ = inode != 0;
  return true;
}

FileAreas::Area FileAreas::at(uint64_t address) {
  while (!ended_ && end_ <= address) ended_ = !next();
  if (ended_) return {UINT64_MAX, true};
  if (address < begin_) return {begin_, true};
  return {end_, of_file_};
}

}  // namespace auxin::checkpoint
