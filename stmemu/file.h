// SPDX-License-Identifier: Apache-2.0
//
// Files by raw system calls (this also runs in servers whose open() and close() are hooked), and
// how errors about them are worded.
#pragma once

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

#include "stmemu/result.h"

namespace auxin::stm {

// A descriptor that is closed on the way out unless released.
class FileDescriptor {
 public:
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (number_ >= 0) syscall(SYS_close, number_);
  }
  // As open(2), closed on exec. Negative: errno says why.
  static int open(const std::string& path, int flags, mode_t mode = 0) {
    return static_cast<int>(
        syscall(SYS_openat, AT_FDCWD, path.c_str(), flags | O_CLOEXEC, mode));
  }
  int get() const { return number_; }
  bool valid() const { return number_ >= 0; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

// "PATH: WHAT: the error's text"
Error file_error(const std::string& path, const std::string& what, int error);
// Of the directory that `path` is in.
std::string directory_of(const std::string& path);
std::string mebibytes(uint64_t bytes);

}  // namespace auxin::stm
