// SPDX-License-Identifier: Apache-2.0
//
// A file that is made whole before it has its name, so that whoever opens it by that name finds it
// finished, and a crash before leaves nothing (or, where the file system has no nameless files, one
// under a temporary name). Mode 0600, whatever the umask.
#pragma once

#include <cstdint>
#include <string>

#include "stmemu/file.h"
#include "stmemu/result.h"

namespace auxin::stm {

class NewFile {
 public:
  // In the directory of `path`, empty, `size_bytes` long and sparse. Errors name the path.
  static Result<NewFile> make(const std::string& path, uint64_t size_bytes);
  NewFile(NewFile&& other) noexcept;
  ~NewFile();  // removes it, unless it has its name

  int fd() const { return fd_.get(); }
  // Storage for a part of the file.
  Result<bool> take_storage(uint64_t offset, uint64_t size_bytes);
  // Gives it its name; refuses one that is taken. `lasting`: content and name are on the disk
  // before this returns. Once.
  Result<bool> give_name(bool lasting);

 private:
  NewFile(const std::string& path, int fd, std::string temporary_name);

  std::string path_;
  FileDescriptor fd_;
  std::string temporary_name_;  // empty: it has none
};

}  // namespace auxin::stm
