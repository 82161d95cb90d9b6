// SPDX-License-Identifier: Apache-2.0
//
// A segment's file while it is written: under a name of its own until its commit record is in it,
// then renamed. A crash leaves the file that was there, or the new one, and perhaps NAME.new, which
// the next one overwrites.
//
// Raw system calls; the buffer is a mapping without contents in images.
#pragma once

#include <cstddef>
#include <cstdint>

#include "checkpoint/process/image_tables.h"

namespace auxin::checkpoint {

class SegmentFile {
 public:
  // Maps the buffer; false: no memory. Before threads are stopped.
  bool prepare(ImageTables* tables);

  // Writes NAME.new, mode 0600. 0, or -errno, as all of these.
  long create(const char* path);
  // The header's offsets and counts are set here; pages are copied from memory as they are now.
  long write_contents(SegmentHeader& header, ImageTables& tables);
  // The commit record's place is known; `sync`: it is on the disk before this returns.
  long commit(const SegmentHeader& header, bool sync);
  void abandon();

  uint64_t size_bytes() const { return size_bytes_; }

 private:
  long put(const void* data, size_t size_bytes);
  long align();
  long put_pages(const ImageTables& tables);

  int fd_ = -1, memory_fd_ = -1;
  uint64_t size_bytes_ = 0;
  uint64_t tables_digest_ = 0, pages_digest_ = 0;
  char path_[4096] = "", new_path_[4100] = "";
  char* buffer_ = nullptr;
  void* digest_state_ = nullptr;   // XXH3_state_t
};

}  // namespace auxin::checkpoint
