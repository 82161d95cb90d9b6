// SPDX-License-Identifier: Apache-2.0
//
// Checking and mapping a group's part of a memory file.
//
// Descriptors are opened and closed by raw system calls: this code also runs in servers whose
// open() and close() are hooked. The descriptor is kept only to reserve storage; a server may close
// descriptors it does not know (daemons do), so its identity is checked before each use.
#include "stmemu/log/stable_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "stmemu/file.h"
#include "stmemu/memory/superblock.h"
#include "stmemu/log/log_area.h"

namespace auxin::stm {
namespace {

constexpr int kLowestKeptDescriptor = 200;  // out of the way of servers that count on low numbers

Error refused(const std::string& path, const std::string& why) {
  return Error{path + ": " + why};
}

// Storage for [from, to) of the area, whose mapping is at `base`.
bool allocate_range(int fd, uint64_t area_offset, char* base, uint64_t from, uint64_t to) {
  if (from >= to) return true;
  if (fd >= 0) {
    long result;
    do {
      result = syscall(SYS_fallocate, fd, 0, area_offset + from, to - from);
    } while (result != 0 && errno == EINTR);
    if (result == 0) return true;
    if (errno != EOPNOTSUPP && errno != ENOSYS) return false;
  }
  // Without fallocate: touch every page through the mapping, which reports a full file system.
  const uint64_t first = from / kPageSizeBytes * kPageSizeBytes;
  const uint64_t last = (to + kPageSizeBytes - 1) / kPageSizeBytes * kPageSizeBytes;
  return madvise(base + first, last - first, MADV_POPULATE_WRITE) == 0;
}

// Moves a descriptor up, if the limit allows.
int keep_descriptor(FileDescriptor& fd) {
  const long moved = syscall(SYS_fcntl, fd.get(), F_DUPFD_CLOEXEC, kLowestKeptDescriptor);
  return moved >= 0 ? static_cast<int>(moved) : fd.release();
}

bool same_file(int fd, uint64_t device, uint64_t inode) {
  struct stat status;
  return fd >= 0 && fstat(fd, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

// Empty if the file may be trusted as far as its metadata goes.
std::string metadata_fault(const struct stat& status) {
  if (!S_ISREG(status.st_mode)) return "not a regular file, so not a stable memory";
  if (std::string fault = owner_fault(status); !fault.empty()) return fault;
  if (static_cast<uint64_t>(status.st_size) < sizeof(Superblock)) {
    return "too short to be a stable memory (" + std::to_string(status.st_size) + " bytes)";
  }
  return {};
}

// Empty if the file is what its superblock says, with a group's part in it.
std::string file_fault(const Superblocks& found, uint64_t size_bytes) {
  if (std::string fault = superblock_fault(found, false); !fault.empty()) return fault;
  const Superblock& block = *found.sound();
  if (block.plain_pages == 0) return "a stable memory, but not a group's: it has no log";
  const uint64_t expected = whole_file_bytes(block);
  if (size_bytes != expected) {
    return std::string(size_bytes < expected ? "truncated" : "too long") + ": " +
           std::to_string(size_bytes) + " bytes instead of " + std::to_string(expected);
  }
  return {};
}

std::string header_fault(const LogAreaHeader& header, uint32_t control_version,
                         uint64_t size_bytes) {
  if (memcmp(header.magic, kLogAreaMagic, sizeof(kLogAreaMagic)) != 0) {
    return "damaged: its plain area does not begin as a group's does";
  }
  if (header.format_version != kLogAreaVersion) {
    return "a group's memory of format " + std::to_string(header.format_version) +
           "; this version of Auxin uses format " + std::to_string(kLogAreaVersion);
  }
  if (header.checksum != header_checksum(header)) {
    return "damaged: its log's header does not match its checksum";
  }
  if (header.control_version != control_version &&
      control_version != StableMemory::kAnyControlVersion) {
    return "its control area has version " + std::to_string(header.control_version) +
           "; this version of Auxin uses " + std::to_string(control_version);
  }
  const Layout layout{header.control_size_bytes, header.entry_capacity, header.payload_size_bytes};
  if (const char* fault = layout_fault(layout)) return std::string("damaged: ") + fault;
  if (header.area_size_bytes != area_size_bytes(layout) || header.area_size_bytes != size_bytes) {
    return "damaged: its log's header contradicts itself about the size";
  }
  return {};
}

}  // namespace

StableMemory::StableMemory(StableMemory&& other) noexcept { *this = std::move(other); }

StableMemory& StableMemory::operator=(StableMemory&& other) noexcept {
  if (this == &other) return *this;
  std::swap(base_, other.base_);
  std::swap(mapped_size_bytes_, other.mapped_size_bytes_);
  std::swap(layout_, other.layout_);
  std::swap(path_, other.path_);
  std::swap(area_offset_, other.area_offset_);
  std::swap(fd_, other.fd_);
  std::swap(device_, other.device_);
  std::swap(inode_, other.inode_);
  std::swap(reserved_entries_, other.reserved_entries_);
  std::swap(reserved_payload_, other.reserved_payload_);
  return *this;
}

StableMemory::~StableMemory() {
  if (base_ != nullptr) munmap(base_, mapped_size_bytes_);
  if (same_file(fd_, device_, inode_)) syscall(SYS_close, fd_);
}

Result<StableMemory> StableMemory::open(const std::string& path, uint32_t control_version,
                                        bool read_only) {
  return open_for(path, control_version, read_only ? Access::kReadOnly : Access::kShared);
}

Result<StableMemory> StableMemory::open_private(const std::string& path,
                                                uint32_t control_version) {
  return open_for(path, control_version, Access::kPrivate);
}

// Maps all of the area, and its payload a second time behind it. Null: errno says why.
void* StableMemory::map_whole(int fd, uint64_t area_offset, const Layout& layout, Access access) {
  const size_t area_size = area_size_bytes(layout);
  const size_t whole = area_size + layout.payload_size_bytes;
  const int protection = access == Access::kReadOnly ? PROT_READ : PROT_READ | PROT_WRITE;
  // What is private takes memory as it is stored into, and that is little.
  const int kind =
      MAP_FIXED | (access == Access::kPrivate ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED);
  void* base = mmap(nullptr, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  void* second = static_cast<char*>(base) + area_size;
  if (mmap(base, area_size, protection, kind, fd, static_cast<off_t>(area_offset)) == MAP_FAILED ||
      mmap(second, layout.payload_size_bytes, protection, kind, fd,
           static_cast<off_t>(area_offset + payload_offset(layout))) == MAP_FAILED) {
    const int error = errno;
    munmap(base, whole);
    errno = error;
    return nullptr;
  }
  return base;
}

Result<StableMemory> StableMemory::open_for(const std::string& path, uint32_t control_version,
                                            Access access) {
  const int mode = access == Access::kShared ? O_RDWR : O_RDONLY;
  // O_NONBLOCK: a FIFO under that name must not hang us.
  FileDescriptor fd(FileDescriptor::open(path, mode | O_NONBLOCK));
  if (!fd.valid()) return file_error(path, "cannot open", errno);
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return file_error(path, "cannot examine", errno);
  if (std::string fault = metadata_fault(status); !fault.empty()) return refused(path, fault);
  const auto size_bytes = static_cast<uint64_t>(status.st_size);
  const Superblocks found = find_superblocks(fd.get(), size_bytes);
  if (std::string fault = file_fault(found, size_bytes); !fault.empty()) {
    return refused(path, fault);
  }

  // Read, not mapped: a file that shrinks under us gives a short read instead of a signal.
  LogAreaHeader header;
  const uint64_t area_offset = plain_offset(*found.sound());
  const long got = syscall(SYS_pread64, fd.get(), &header, sizeof(header), area_offset);
  if (got < 0) return file_error(path, "cannot read", errno);
  if (got != static_cast<long>(sizeof(header))) return refused(path, "truncated");
  if (std::string fault = header_fault(header, control_version, size_bytes - area_offset);
      !fault.empty()) {
    return refused(path, fault);
  }

  StableMemory memory;
  memory.layout_ = {header.control_size_bytes, header.entry_capacity, header.payload_size_bytes};
  memory.area_offset_ = area_offset;
  memory.base_ = map_whole(fd.get(), area_offset, memory.layout_, access);
  if (memory.base_ == nullptr) return file_error(path, "cannot map", errno);
  memory.mapped_size_bytes_ = area_size_bytes(memory.layout_) + memory.layout_.payload_size_bytes;
  memory.path_ = path;
  memory.device_ = status.st_dev;
  memory.inode_ = status.st_ino;
  if (access == Access::kShared) memory.fd_ = keep_descriptor(fd);
  return memory;
}

void* StableMemory::control() const { return static_cast<char*>(base_) + control_offset(); }

void* StableMemory::log_page() const {
  return static_cast<char*>(base_) + log_page_offset(layout_);
}

void* StableMemory::entries() const { return static_cast<char*>(base_) + entries_offset(layout_); }

void* StableMemory::payload() const { return static_cast<char*>(base_) + payload_offset(layout_); }

uint64_t StableMemory::seed() const { return static_cast<const LogAreaHeader*>(base_)->seed; }

bool StableMemory::reserve_log(uint64_t entries, uint64_t payload_bytes) {
  entries = std::min(entries, layout_.entry_capacity);
  payload_bytes = std::min(payload_bytes, layout_.payload_size_bytes);
  return reserve_part(&reserved_entries_, entries, layout_.entry_capacity, kSlotSizeBytes,
                      entries_offset(layout_)) &&
         reserve_part(&reserved_payload_, payload_bytes, layout_.payload_size_bytes, 1,
                      payload_offset(layout_));
}

namespace {

// Linux 5.14 and later; earlier ones refuse, and pages are mapped one by one as they are touched.
void populate(char* begin, char* end) {
  constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE
  const auto page = reinterpret_cast<uintptr_t>(begin) & ~uintptr_t{kPageSizeBytes - 1};
  if (reinterpret_cast<uintptr_t>(end) <= page) return;
  const int error = errno;
  madvise(reinterpret_cast<void*>(page), reinterpret_cast<uintptr_t>(end) - page, kPopulateWrite);
  errno = error;
}

}  // namespace

void StableMemory::map_entries_ahead(uint64_t first, uint64_t count) {
  const uint64_t reserved = std::min(reserved_entries_, layout_.entry_capacity);
  const uint64_t last = std::min(first + count, reserved);
  char* base = static_cast<char*>(entries());
  if (first < last) populate(base + first * kSlotSizeBytes, base + last * kSlotSizeBytes);
}

void StableMemory::map_payload_ahead(uint64_t first_byte, uint64_t size_bytes) {
  const uint64_t last =
      std::min({first_byte + size_bytes, reserved_payload_, layout_.payload_size_bytes});
  char* base = static_cast<char*>(payload());
  if (first_byte < last) populate(base + first_byte, base + last);
}

// One ring of `limit` units: storage for the first `wanted`, if possible for a good many more.
bool StableMemory::reserve_part(uint64_t* reserved, uint64_t wanted, uint64_t limit,
                                uint64_t unit_size_bytes, uint64_t start) {
  if (wanted <= *reserved) return true;
  const int error = errno;  // hooks reserve too, and keep errno
  char* base = static_cast<char*>(base_);
  const int fd = same_file(fd_, device_, inode_) ? fd_ : -1;
  const uint64_t from = start + *reserved * unit_size_bytes;
  const uint64_t ahead = std::min(limit, wanted + kReserveAheadBytes / unit_size_bytes);
  bool done = false;
  for (uint64_t goal : {ahead, wanted}) {
    if (!allocate_range(fd, area_offset_, base, from, start + goal * unit_size_bytes)) continue;
    *reserved = goal;
    done = true;
    break;
  }
  errno = error;
  return done;
}

}  // namespace auxin::stm
