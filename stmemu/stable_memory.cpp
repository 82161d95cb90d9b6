// SPDX-License-Identifier: Apache-2.0
//
// Creating, checking and mapping the file of a StableMemory.
//
// Descriptors are opened and closed by raw system calls: this code also runs in servers whose
// open() and close() are hooked. The descriptor is kept only to reserve storage; a server may close
// descriptors it does not know (daemons do), so its identity is checked before each use.
#include "stmemu/stable_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "stmemu/check.h"
#include "stmemu/memory_header.h"

namespace auxin::stm {
namespace {

constexpr uint64_t kReserveAheadBytes = uint64_t{16} << 20;
constexpr int kLowestKeptDescriptor = 200;  // out of the way of servers that count on low numbers

// A descriptor that is closed on the way out unless released.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) syscall(SYS_close, number_);
  }
  int get() const { return number_; }
  bool valid() const { return number_ >= 0; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

int open_raw(const std::string& path, int flags, mode_t mode = 0) {
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path.c_str(), flags | O_CLOEXEC, mode));
}

Error failed(const std::string& path, const std::string& what, int error) {
  const char* text = strerrordesc_np(error);
  return Error{path + ": " + what + ": " + (text != nullptr ? text : "unknown error")};
}

Error refused(const std::string& path, const std::string& why) {
  return Error{path + ": " + why};
}

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string mebibytes(uint64_t bytes) {
  char text[32];
  snprintf(text, sizeof(text), "%.1f MiB", static_cast<double>(bytes) / (1 << 20));
  return text;
}

uint64_t random_word() {
  uint64_t word = 0;
  while (syscall(SYS_getrandom, &word, sizeof(word), 0) != static_cast<long>(sizeof(word))) {
    CHECK(errno == EINTR, "the kernel gives random bytes");
  }
  return word;
}

// What stands before the log's rings: all of it gets storage at creation.
uint64_t fixed_size_bytes(const Layout& layout) { return entries_offset(layout); }

// Null unless the file system is too small to begin with.
std::string space_fault(const std::string& directory, const Layout& layout) {
  const uint64_t least = std::min(file_size_bytes(layout),
                                  fixed_size_bytes(layout) + kReserveAheadBytes);
  struct statvfs space;
  if (statvfs(directory.c_str(), &space) != 0) return {};  // opening it will tell why
  if (space.f_blocks == 0) return {};                      // a tmpfs without a limit
  const uint64_t free_bytes = uint64_t{space.f_bavail} * space.f_frsize;
  if (free_bytes >= least) return {};
  return "not enough space: the file system of " + directory + " has " + mebibytes(free_bytes) +
         " free, a stable memory of this layout needs at least " + mebibytes(least) +
         "; free some, enlarge it, or choose another directory";
}

// Maps all of the file, and its payload a second time behind it. Null: errno says why.
void* map_whole(int fd, const Layout& layout, bool read_only) {
  const size_t file_size = file_size_bytes(layout);
  const size_t whole = file_size + layout.payload_size_bytes;
  const int protection = read_only ? PROT_READ : PROT_READ | PROT_WRITE;
  void* base = mmap(nullptr, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  void* second = static_cast<char*>(base) + file_size;
  if (mmap(base, file_size, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
      mmap(second, layout.payload_size_bytes, protection, MAP_SHARED | MAP_FIXED, fd,
           static_cast<off_t>(payload_offset(layout))) == MAP_FAILED) {
    const int error = errno;
    munmap(base, whole);
    errno = error;
    return nullptr;
  }
  return base;
}

// Storage for [from, to) of the file, whose mapping is at `base`.
bool allocate_range(int fd, char* base, uint64_t from, uint64_t to) {
  if (from >= to) return true;
  if (fd >= 0) {
    long result;
    do {
      result = syscall(SYS_fallocate, fd, 0, from, to - from);
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
int keep_descriptor(Descriptor& fd) {
  const long moved = syscall(SYS_fcntl, fd.get(), F_DUPFD_CLOEXEC, kLowestKeptDescriptor);
  return moved >= 0 ? static_cast<int>(moved) : fd.release();
}

bool same_file(int fd, uint64_t device, uint64_t inode) {
  struct stat status;
  return fd >= 0 && fstat(fd, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

// A nameless file in `directory`, or (where the file system has none) one under a temporary name,
// which is then returned in `name`.
int make_unnamed(const std::string& path, std::string* name) {
  const int unnamed = open_raw(directory_of(path), O_TMPFILE | O_RDWR, 0600);
  if (unnamed >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return unnamed;
  char suffix[32];
  snprintf(suffix, sizeof(suffix), ".new.%016llx", static_cast<unsigned long long>(random_word()));
  *name = path + suffix;
  return open_raw(*name, O_CREAT | O_EXCL | O_RDWR, 0600);
}

// Gives the finished file its name; fails with EEXIST if the name is taken.
int link_into_place(int fd, const std::string& name, const std::string& path) {
  if (!name.empty()) return link(name.c_str(), path.c_str());
  if (linkat(fd, "", AT_FDCWD, path.c_str(), AT_EMPTY_PATH) == 0) return 0;
  if (errno == EEXIST) return -1;
  char self[40];  // without the privilege that AT_EMPTY_PATH asks for
  snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
  return linkat(AT_FDCWD, self, AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW);
}

// Null if the file may be trusted as far as its metadata goes.
std::string metadata_fault(const struct stat& status) {
  if (!S_ISREG(status.st_mode)) return "not a regular file, so not a stable memory";
  if (status.st_uid != geteuid()) {
    return "belongs to user " + std::to_string(status.st_uid) + ", not to this one (" +
           std::to_string(geteuid()) + ")";
  }
  if ((status.st_mode & 077) != 0) {
    return "is open to other users; its mode must be 0600 (chmod 600 it if you trust its contents)";
  }
  if (static_cast<uint64_t>(status.st_size) < sizeof(MemoryHeader)) {
    return "too short to be a stable memory (" + std::to_string(status.st_size) + " bytes)";
  }
  return {};
}

std::string header_fault(const MemoryHeader& header, uint32_t control_version,
                         uint64_t size_bytes) {
  if (memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) return "not a stable memory of Auxin";
  if (header.format_version != kFormatVersion) {
    return "a stable memory of format " + std::to_string(header.format_version) +
           "; this version of Auxin uses format " + std::to_string(kFormatVersion);
  }
  if (header.checksum != header_checksum(header)) {
    return "damaged: its header does not match its checksum";
  }
  if (header.control_version != control_version) {
    return "its control area has version " + std::to_string(header.control_version) +
           "; this version of Auxin uses " + std::to_string(control_version);
  }
  const Layout layout{header.control_size_bytes, header.entry_capacity, header.payload_size_bytes};
  if (const char* fault = layout_fault(layout)) return std::string("damaged: ") + fault;
  if (header.file_size_bytes != file_size_bytes(layout)) {
    return "damaged: its header contradicts itself about the size";
  }
  if (size_bytes != header.file_size_bytes) {
    return std::string(size_bytes < header.file_size_bytes ? "truncated" : "too long") + ": " +
           std::to_string(size_bytes) + " bytes instead of " +
           std::to_string(header.file_size_bytes);
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

Result<StableMemory> StableMemory::create(const std::string& path, const Layout& layout,
                                          uint32_t control_version) {
  if (const char* fault = layout_fault(layout)) return refused(path, fault);
  const std::string directory = directory_of(path);
  if (std::string fault = space_fault(directory, layout); !fault.empty()) {
    return refused(path, fault);
  }

  std::string temporary_name;
  Descriptor fd(make_unnamed(path, &temporary_name));
  if (!fd.valid()) return failed(path, "cannot make a file in " + directory, errno);
  struct Unlink {  // the temporary name goes away whatever happens
    const std::string& name;
    ~Unlink() {
      if (!name.empty()) unlink(name.c_str());
    }
  } unlink_temporary{temporary_name};

  struct stat status;
  if (fchmod(fd.get(), 0600) != 0 || fstat(fd.get(), &status) != 0) {
    return failed(path, "cannot set the mode of the new file", errno);
  }
  if (ftruncate(fd.get(), static_cast<off_t>(file_size_bytes(layout))) != 0) {
    return failed(path, "cannot make a file of " + mebibytes(file_size_bytes(layout)), errno);
  }
  StableMemory memory;
  memory.base_ = map_whole(fd.get(), layout, false);
  if (memory.base_ == nullptr) return failed(path, "cannot map", errno);
  memory.mapped_size_bytes_ = file_size_bytes(layout) + layout.payload_size_bytes;
  memory.layout_ = layout;
  memory.path_ = path;
  memory.device_ = status.st_dev;
  memory.inode_ = status.st_ino;
  if (!allocate_range(fd.get(), static_cast<char*>(memory.base_), 0, fixed_size_bytes(layout))) {
    return failed(path, "cannot get storage for the control area", errno);
  }

  MemoryHeader header{};
  memcpy(header.magic, kMagic, sizeof(kMagic));
  header.format_version = kFormatVersion;
  header.control_version = control_version;
  header.seed = random_word();
  header.control_size_bytes = layout.control_size_bytes;
  header.entry_capacity = layout.entry_capacity;
  header.payload_size_bytes = layout.payload_size_bytes;
  header.file_size_bytes = file_size_bytes(layout);
  header.checksum = header_checksum(header);
  memcpy(memory.base_, &header, sizeof(header));

  if (link_into_place(fd.get(), temporary_name, path) != 0) {
    if (errno == EEXIST) {
      return refused(path, "exists already; open it, or remove it if no group uses it");
    }
    return failed(path, "cannot give the new file its name", errno);
  }
  memory.fd_ = keep_descriptor(fd);
  return memory;
}

Result<StableMemory> StableMemory::open(const std::string& path, uint32_t control_version,
                                        bool read_only) {
  // O_NONBLOCK: a FIFO under that name must not hang us.
  Descriptor fd(open_raw(path, (read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK));
  if (!fd.valid()) return failed(path, "cannot open", errno);
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return failed(path, "cannot examine", errno);
  if (std::string fault = metadata_fault(status); !fault.empty()) return refused(path, fault);

  // Read, not mapped: a file that shrinks under us gives a short read instead of a signal.
  MemoryHeader header;
  const long got = syscall(SYS_pread64, fd.get(), &header, sizeof(header), off_t{0});
  if (got < 0) return failed(path, "cannot read", errno);
  if (got != static_cast<long>(sizeof(header))) return refused(path, "truncated");
  if (std::string fault =
          header_fault(header, control_version, static_cast<uint64_t>(status.st_size));
      !fault.empty()) {
    return refused(path, fault);
  }

  StableMemory memory;
  memory.layout_ = {header.control_size_bytes, header.entry_capacity, header.payload_size_bytes};
  memory.base_ = map_whole(fd.get(), memory.layout_, read_only);
  if (memory.base_ == nullptr) return failed(path, "cannot map", errno);
  memory.mapped_size_bytes_ = file_size_bytes(memory.layout_) + memory.layout_.payload_size_bytes;
  memory.path_ = path;
  memory.device_ = status.st_dev;
  memory.inode_ = status.st_ino;
  if (!read_only) memory.fd_ = keep_descriptor(fd);
  return memory;
}

void* StableMemory::control() const { return static_cast<char*>(base_) + control_offset(); }

void* StableMemory::log_page() const {
  return static_cast<char*>(base_) + log_page_offset(layout_);
}

void* StableMemory::entries() const { return static_cast<char*>(base_) + entries_offset(layout_); }

void* StableMemory::payload() const { return static_cast<char*>(base_) + payload_offset(layout_); }

uint64_t StableMemory::seed() const { return static_cast<const MemoryHeader*>(base_)->seed; }

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
    if (!allocate_range(fd, base, from, start + goal * unit_size_bytes)) continue;
    *reserved = goal;
    done = true;
    break;
  }
  errno = error;
  return done;
}

}  // namespace auxin::stm
