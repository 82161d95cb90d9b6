// SPDX-License-Identifier: Apache-2.0
//
// A segment's file while it is written: under a name of its own until its commit record is in it,
// then renamed. A crash leaves the file that was there, or the new one, and perhaps NAME.new, which
// the next one overwrites.
//
// It only grows: pages as they are copied, in any order and as often as needed, then the tables,
// then the commit record. So pages can be copied while the process runs, and again when it stands.
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

  // Makes NAME.new, mode 0600. 0, or -errno, as all of these.
  long create(const char* path);
  // Pages as they are now, of memory at `address`, read from there or from where they were copied
  // (`contents`; null: from there). What is not mapped any more is left out: whoever tells what
  // changed tells it again. Notes the runs in `tables`.
  long put_pages(ImageTables& tables, uint64_t address, uint64_t page_count,
                 const void* contents = nullptr);
  // The tables, with the header's offsets and counts set here, and the commit record.
  long seal(SegmentHeader& header, const ImageTables& tables);
  // A sealed file gets its name. `sync`: all of it is on the disk before this returns.
  long publish(bool sync);
  void abandon();

  // In a forked child, which holds this object and its memory: reads that from now on.
  long read_own_memory();
  // In its parent, after the child has sealed the file. -EBADMSG: it has not.
  long take_sealed(uint64_t image_id, uint64_t sequence);

  int descriptor() const { return fd_; }
  bool owns(int fd) const { return fd == fd_ || fd == memory_fd_; }
  uint64_t size_bytes() const { return size_bytes_; }
  uint64_t digest() const { return digest_; }  // of the commit record, for the next in the chain

 private:
  long put(const void* data, size_t size_bytes);
  long rename_and_sync(bool sync);

  int fd_ = -1, memory_fd_ = -1;
  uint64_t size_bytes_ = 0;
  uint64_t digest_ = 0;
  char path_[4096] = "", new_path_[4100] = "";
  char* buffer_ = nullptr;
  void* digest_state_ = nullptr;   // XXH3_state_t
};

}  // namespace auxin::checkpoint
