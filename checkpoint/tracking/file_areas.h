// SPDX-License-Identifier: Apache-2.0
//
// Which memory is of a file (shared anonymous memory is, too): a page of it that is not there does
// not read as zeros, it has the file's contents.
//
// Raw system calls: fit for the time when all other threads are stopped. One thread.
#pragma once

#include <cstdint>

namespace auxin::checkpoint {

// Reads /proc/self/maps once, as far as it is asked about addresses that ascend.
class FileAreas {
 public:
  FileAreas() = default;
  ~FileAreas();
  FileAreas(const FileAreas&) = delete;
  FileAreas& operator=(const FileAreas&) = delete;

  struct Area {
    uint64_t end;   // up to here the answer is the same
    bool of_file;   // also where nothing can be known
  };
  // Of the memory from `address` on, which is not below the last one's.
  Area at(uint64_t address);

 private:
  bool next();  // the next line

  int fd_ = -1;
  bool ended_ = false;
  uint64_t begin_ = 0, end_ = 0;
  bool of_file_ = false;
  long size_ = 0, at_ = 0;
  char text_[2048];
};

}  // namespace auxin::checkpoint
