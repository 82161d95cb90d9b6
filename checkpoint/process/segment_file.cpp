// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/segment_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#define XXH_NO_STDLIB
#include <xxhash.h>

#include <algorithm>

#include "libmeta_os/private_memory.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

using os::raw_syscall;

constexpr size_t kBufferPages = 256;
constexpr size_t kBufferSizeBytes = kBufferPages * kPageSizeBytes;

}  // namespace

bool SegmentFile::prepare(ImageTables* tables) {
  if (buffer_ != nullptr) return true;
  const size_t size = kBufferSizeBytes + kPageSizeBytes;
  static_assert(sizeof(XXH3_state_t) <= kPageSizeBytes);
  buffer_ = static_cast<char*>(os::map_private(size));
  if (buffer_ == nullptr) return false;
  digest_state_ = buffer_ + kBufferSizeBytes;
  const auto begin = reinterpret_cast<uint64_t>(buffer_);
  tables->leave_empty(begin, begin + size);
  return true;
}

long SegmentFile::create(const char* path) {
  if (strlen(path) >= sizeof path_) return -ENAMETOOLONG;
  strcpy(path_, path);
  snprintf(new_path_, sizeof new_path_, "%s.new", path);
  size_bytes_ = 0;
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(new_path_),
                              O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fd;
  fd_ = static_cast<int>(fd);
  const long memory = raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>("/proc/self/mem"),
                                  O_RDONLY | O_CLOEXEC);
  memory_fd_ = static_cast<int>(memory);
  return memory < 0 ? memory : 0;
}

long SegmentFile::put(const void* data, size_t size) {
  XXH3_64bits_update(static_cast<XXH3_state_t*>(digest_state_), data, size);
  for (size_t done = 0; done < size;) {
    const long result = raw_syscall(SYS_write, fd_, reinterpret_cast<long>(data) +
                                    static_cast<long>(done), static_cast<long>(size - done));
    if (result == -EINTR) continue;
    if (result <= 0) return result < 0 ? result : -EIO;
    done += static_cast<size_t>(result);
  }
  size_bytes_ += size;
  return 0;
}

long SegmentFile::align() {
  const size_t over = size_bytes_ % kPageSizeBytes;
  if (over == 0) return 0;
  memset(buffer_, 0, kPageSizeBytes);
  return put(buffer_, kPageSizeBytes - over);
}

long SegmentFile::write_contents(SegmentHeader& header, ImageTables& tables) {
  const auto aligned = [](uint64_t offset) {
    return (offset + kPageSizeBytes - 1) / kPageSizeBytes * kPageSizeBytes;
  };
  header.region_count = tables.region_count();
  header.file_count = tables.file_count();
  header.run_count = tables.run_count();
  header.strings_size_bytes = tables.strings_size_bytes();
  header.regions_offset = sizeof header;
  header.files_offset = header.regions_offset + header.region_count * sizeof(ImageRegion);
  header.runs_offset = header.files_offset + header.file_count * sizeof(ImageFile);
  header.strings_offset = header.runs_offset + header.run_count * sizeof(ImageRun);
  header.pages_offset = aligned(header.strings_offset + header.strings_size_bytes);
  header.commit_offset = header.pages_offset + tables.page_count() * kPageSizeBytes;
  tables.place_runs(header.pages_offset);
  auto* state = static_cast<XXH3_state_t*>(digest_state_);
  XXH3_64bits_reset(state);
  long result = put(&header, sizeof header);
  if (result == 0) result = put(tables.regions(), header.region_count * sizeof(ImageRegion));
  if (result == 0) result = put(tables.files(), header.file_count * sizeof(ImageFile));
  if (result == 0) result = put(tables.runs(), header.run_count * sizeof(ImageRun));
  if (result == 0) result = put(tables.strings(), header.strings_size_bytes);
  if (result == 0) result = align();
  tables_digest_ = XXH3_64bits_digest(state);
  XXH3_64bits_reset(state);
  if (result == 0) result = put_pages(tables);
  pages_digest_ = XXH3_64bits_digest(state);
  return result;
}

// By way of the buffer: some of these pages change while they are written (this very stack).
long SegmentFile::put_pages(const ImageTables& tables) {
  for (uint32_t i = 0; i < tables.run_count(); ++i) {
    const ImageRun& run = tables.runs()[i];
    const bool readable = tables.readable(run);
    for (uint64_t done = 0; done < run.page_count;) {
      const size_t pages = std::min<size_t>(run.page_count - done, kBufferPages);
      const size_t size = pages * kPageSizeBytes;
      const uint64_t from = run.address + done * kPageSizeBytes;
      if (readable) {
        memcpy(buffer_, reinterpret_cast<const void*>(from), size);
      } else if (raw_syscall(SYS_pread64, memory_fd_, reinterpret_cast<long>(buffer_),
                             static_cast<long>(size), static_cast<long>(from)) !=
                 static_cast<long>(size)) {
        return -EFAULT;
      }
      if (const long result = put(buffer_, size); result != 0) return result;
      done += pages;
    }
  }
  return 0;
}

long SegmentFile::commit(const SegmentHeader& header, bool sync) {
  CommitRecord record{};
  memcpy(record.magic, kCommitMagic, sizeof record.magic);
  record.image_id = header.image_id;
  record.sequence = header.sequence;
  record.tables_digest = tables_digest_;
  record.pages_digest = pages_digest_;
  record.digest = XXH3_64bits(&record, offsetof(CommitRecord, digest));
  long result = put(&record, sizeof record);
  if (result == 0 && sync) result = raw_syscall(SYS_fsync, fd_);
  if (result == 0)
    result = raw_syscall(SYS_rename, reinterpret_cast<long>(new_path_),
                         reinterpret_cast<long>(path_));
  if (result != 0) {
    abandon();
    return result;
  }
  raw_syscall(SYS_close, fd_);
  raw_syscall(SYS_close, memory_fd_);
  fd_ = memory_fd_ = -1;
  if (sync) {
    char* slash = strrchr(new_path_, '/');
    if (slash != nullptr) slash[slash == new_path_ ? 1 : 0] = '\0';
    const long directory = raw_syscall(SYS_openat, AT_FDCWD,
                                       reinterpret_cast<long>(slash != nullptr ? new_path_ : "."),
                                       O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
      raw_syscall(SYS_fsync, directory);
      raw_syscall(SYS_close, directory);
    }
  }
  return 0;
}

void SegmentFile::abandon() {
  if (fd_ >= 0) {
    raw_syscall(SYS_unlink, reinterpret_cast<long>(new_path_));
    raw_syscall(SYS_close, fd_);
  }
  if (memory_fd_ >= 0) raw_syscall(SYS_close, memory_fd_);
  fd_ = memory_fd_ = -1;
}

}  // namespace auxin::checkpoint
