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
  XXH3_64bits_reset(static_cast<XXH3_state_t*>(digest_state_));
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(new_path_),
                              O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fd;
  fd_ = static_cast<int>(fd);
  return read_own_memory();
}

long SegmentFile::read_own_memory() {
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

long SegmentFile::put_pages(ImageTables& tables, uint64_t address, uint64_t page_count,
                            const void* contents) {
  for (uint64_t done = 0; done < page_count;) {
    const size_t pages = std::min<size_t>(page_count - done, kBufferPages);
    const size_t size = pages * kPageSizeBytes;
    const uint64_t from = address + done * kPageSizeBytes;
    const void* data = buffer_;
    uint64_t got = size;
    if (contents != nullptr) {
      data = static_cast<const char*>(contents) + done * kPageSizeBytes;
    } else {
      // Through the kernel: the page may be protected, or gone by now.
      const long result = raw_syscall(SYS_pread64, memory_fd_, reinterpret_cast<long>(buffer_),
                                      static_cast<long>(size), static_cast<long>(from));
      got = result > 0 ? static_cast<uint64_t>(result) / kPageSizeBytes * kPageSizeBytes : 0;
    }
    if (got > 0) {
      if (!tables.add_run(from, got / kPageSizeBytes, size_bytes_)) return -E2BIG;
      if (const long result = put(data, got); result != 0) return result;
    }
    done += got > 0 ? got / kPageSizeBytes : 1;  // over the page that is not there
  }
  return 0;
}

long SegmentFile::seal(SegmentHeader& header, const ImageTables& tables) {
  auto* state = static_cast<XXH3_state_t*>(digest_state_);
  CommitRecord record{};
  memcpy(record.magic, kCommitMagic, sizeof record.magic);
  record.image_id = header.image_id;
  record.sequence = header.sequence;
  record.header_offset = size_bytes_;
  record.pages_digest = XXH3_64bits_digest(state);
  header.region_count = tables.region_count();
  header.file_count = tables.file_count();
  header.run_count = tables.run_count();
  header.header_offset = size_bytes_;
  header.regions_offset = header.header_offset + sizeof header;
  header.files_offset = header.regions_offset + header.region_count * sizeof(ImageRegion);
  header.runs_offset = header.files_offset + header.file_count * sizeof(ImageFile);
  header.strings_offset = header.runs_offset + header.run_count * sizeof(ImageRun);
  header.strings_size_bytes = (tables.strings_size_bytes() + 7) / 8 * 8;  // zeros behind them
  header.commit_offset = header.strings_offset + header.strings_size_bytes;
  XXH3_64bits_reset(state);
  long result = put(&header, sizeof header);
  if (result == 0) result = put(tables.regions(), header.region_count * sizeof(ImageRegion));
  if (result == 0) result = put(tables.files(), header.file_count * sizeof(ImageFile));
  if (result == 0) result = put(tables.runs(), header.run_count * sizeof(ImageRun));
  if (result == 0) result = put(tables.strings(), header.strings_size_bytes);
  record.tables_digest = XXH3_64bits_digest(state);
  record.digest = XXH3_64bits(&record, offsetof(CommitRecord, digest));
  digest_ = record.digest;
  if (result == 0) result = put(&record, sizeof record);
  return result;
}

long SegmentFile::take_sealed(uint64_t image_id, uint64_t sequence) {
  const long end = raw_syscall(SYS_lseek, fd_, 0, 2 /* SEEK_END */);
  CommitRecord record{};
  if (end < static_cast<long>(sizeof record) ||
      raw_syscall(SYS_pread64, fd_, reinterpret_cast<long>(&record), sizeof record,
                  end - static_cast<long>(sizeof record)) != sizeof record ||
      memcmp(record.magic, kCommitMagic, sizeof record.magic) != 0 ||
      record.image_id != image_id || record.sequence != sequence ||
      record.digest != XXH3_64bits(&record, offsetof(CommitRecord, digest)))
    return -EBADMSG;
  size_bytes_ = static_cast<uint64_t>(end);
  digest_ = record.digest;
  return 0;
}

long SegmentFile::publish(bool sync) {
  const long result = rename_and_sync(sync);
  if (result != 0) abandon();
  return result;
}

long SegmentFile::rename_and_sync(bool sync) {
  long result = sync ? raw_syscall(SYS_fsync, fd_) : 0;
  if (result == 0)
    result = raw_syscall(SYS_rename, reinterpret_cast<long>(new_path_),
                         reinterpret_cast<long>(path_));
  if (result != 0) return result;
  raw_syscall(SYS_close, fd_);
  raw_syscall(SYS_close, memory_fd_);
  fd_ = memory_fd_ = -1;
  if (!sync) return 0;
  char* slash = strrchr(new_path_, '/');
  if (slash != nullptr) slash[slash == new_path_ ? 1 : 0] = '\0';
  const long directory = raw_syscall(SYS_openat, AT_FDCWD,
                                     reinterpret_cast<long>(slash != nullptr ? new_path_ : "."),
                                     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return 0;  // it has its name; a crash of the host may take that back
  raw_syscall(SYS_fsync, directory);
  raw_syscall(SYS_close, directory);
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
