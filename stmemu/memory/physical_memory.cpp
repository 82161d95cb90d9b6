// SPDX-License-Identifier: Apache-2.0
//
// Making, judging, locking and mapping the file of a physical STM.
#include "stmemu/memory/physical_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "stmemu/check.h"
#include "stmemu/isolated/connection.h"
#include "stmemu/memory/page_table.h"
#include "stmemu/protection/store_guard.h"

namespace auxin::stm {
namespace {

// Bytes of the file on which locks stand for something; far beyond what it can hold.
constexpr off_t kAttachingByte = off_t{1} << 61;       // exclusive: somebody is attaching
constexpr off_t kPresenceByte = kAttachingByte + 1;    // shared: somebody has it attached
constexpr off_t kClientByte = kAttachingByte + 2;      // shared: a client of its controller has

constexpr const char* kForeignBoard =
    ": in use by programs with another version of this library; end them first";

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

Error failed(const std::string& path, const std::string& what, int error) {
  const char* text = strerrordesc_np(error);
  return Error{path + ": " + what + ": " + (text != nullptr ? text : "unknown error")};
}

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

uint64_t random_word() {
  uint64_t word = 0;
  while (getrandom(&word, sizeof(word), 0) != static_cast<ssize_t>(sizeof(word))) {
    CHECK(errno == EINTR, "the kernel gives random bytes");
  }
  return word;
}

// Of /etc/machine-id, without giving it away; 0 where there is none.
uint64_t machine_identity() {
  char text[33] = {};
  const Descriptor file(open("/etc/machine-id", O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 || read(file.get(), text, 32) != 32) return 0;
  return XXH3_64bits_withSeed(text, 32, 0x4175'78696e) | 1;
}

std::string mebibytes(uint64_t bytes) {
  char text[32];
  snprintf(text, sizeof(text), "%.1f MiB", static_cast<double>(bytes) / (1 << 20));
  return text;
}

bool good_superblock(const Superblock& block, int bank) {
  return memcmp(block.magic, kMemoryMagic, sizeof(kMemoryMagic)) == 0 &&
         block.checksum == superblock_checksum(block, bank);
}

bool read_superblock(int fd, uint64_t offset, int bank, Superblock* block) {
  return pread(fd, block, sizeof(*block), static_cast<off_t>(offset)) ==
             static_cast<ssize_t>(sizeof(*block)) &&
         good_superblock(*block, bank);
}

// The size of a bank in a file of this size; 0: no bank size gives it.
uint64_t bank_bytes_of(uint64_t file_bytes) {
  uint64_t low = kMinBankBytes / kPageBytes, high = file_bytes / 2 / kPageBytes + 1;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (memory_file_bytes(middle * kPageBytes) < file_bytes) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return memory_file_bytes(low * kPageBytes) == file_bytes ? low * kPageBytes : 0;
}

// Null, or why this file may not be used by this process.
std::string stranger(const std::string& path, const struct stat& info) {
  if (info.st_uid != geteuid()) {
    return path + ": belongs to user " + std::to_string(info.st_uid) + ", this is user " +
           std::to_string(geteuid()) + "; a stable memory is its owner's alone";
  }
  if ((info.st_mode & 077) != 0) {
    char mode[8];
    snprintf(mode, sizeof(mode), "%04o", info.st_mode & 07777u);
    return path + ": its mode is " + mode + ", so others could change it; chmod 600 it first";
  }
  return {};
}

std::string unusable(const std::string& path, const Superblock& block, bool any_machine) {
  if (block.format_version != kMemoryFormatVersion) {
    return path + ": its format is version " + std::to_string(block.format_version) +
           ", this program knows version " + std::to_string(kMemoryFormatVersion);
  }
  if (block.architecture != kArchitecture) {
    return path + ": made on another architecture; it can be used on x86-64 only";
  }
  const uint64_t here = machine_identity();
  if (!any_machine && block.machine != 0 && here != 0 && block.machine != here) {
    return path + ": made on another machine; if nobody uses it there any more, adopt it with "
                  "auxin stm check --adopt";
  }
  if (block.bank_size_bytes < kMinBankBytes || block.bank_size_bytes > kMaxBankBytes ||
      block.bank_size_bytes % kPageBytes != 0 || block.mode > 2 || block.durability > 1) {
    return path + ": its superblock makes no sense";
  }
  return {};
}

bool lock_byte(int fd, short type, off_t byte, bool wait) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  int result;
  do result = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

// By any other process.
bool byte_is_locked(int fd, off_t byte) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace

const SizeClasses PhysicalMemory::classes_[2] = {SizeClasses(false), SizeClasses(true)};

PhysicalMemory::PhysicalMemory() = default;

PhysicalMemory::~PhysicalMemory() {
  connection_.reset();
  window_.reset();
  if (guarded_ != nullptr) munmap(guarded_, 2 * bank_bytes());
  if (base_ != nullptr) munmap(base_, mapped_bytes_);
  if (fd_ >= 0) close(fd_);
}

// --- creation ---

Result<bool> PhysicalMemory::create(const std::string& path, const CreateOptions& options,
                                    const std::function<uint64_t(PhysicalMemory&)>& fill) {
  const uint64_t bank_bytes = whole_pages(options.bank_size_bytes) * kPageBytes;
  if (bank_bytes < kMinBankBytes || bank_bytes > kMaxBankBytes) {
    return Error{path + ": a bank has at least " + std::to_string(kMinBankBytes / 1024) +
                 " KiB and at most 1 TiB, not " + mebibytes(options.bank_size_bytes)};
  }
  const std::string directory = directory_of(path);
  struct statvfs space;
  const uint64_t fixed = 2 * meta_pages(bank_bytes) * kPageBytes + owners_offset(bank_bytes);
  if (statvfs(directory.c_str(), &space) == 0 && space.f_blocks != 0 &&
      uint64_t{space.f_bavail} * space.f_frsize < fixed) {
    return Error{path + ": not enough space: the file system of " + directory + " has " +
                 mebibytes(uint64_t{space.f_bavail} * space.f_frsize) +
                 " free, an empty memory of this size needs " + mebibytes(fixed)};
  }

  if (access(path.c_str(), F_OK) == 0) return failed(path, "can't be created", EEXIST);
  const Descriptor file(open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.get() < 0) return failed(path, "can't be created in " + directory, errno);
  const uint64_t file_bytes = memory_file_bytes(bank_bytes);
  if (ftruncate(file.get(), static_cast<off_t>(file_bytes)) != 0) {
    return failed(path, "can't be made " + mebibytes(file_bytes) + " long", errno);
  }
  const auto meta = static_cast<off_t>(meta_pages(bank_bytes) * kPageBytes);
  const struct {
    uint64_t from, size;
  } parts[] = {{0, static_cast<uint64_t>(meta)},
               {bank_bytes, static_cast<uint64_t>(meta)},
               {2 * bank_bytes, owners_offset(bank_bytes)}};
  for (const auto& part : parts) {
    const int error = posix_fallocate(file.get(), static_cast<off_t>(part.from),
                                      static_cast<off_t>(part.size));
    if (error != 0) return failed(path, "no storage for an empty memory", error);
  }

  char* base = static_cast<char*>(
      mmap(nullptr, file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
  if (base == MAP_FAILED) return failed(path, "can't be mapped", errno);
  Superblock block = {};
  memcpy(block.magic, kMemoryMagic, sizeof(kMemoryMagic));
  block.format_version = kMemoryFormatVersion;
  block.architecture = kArchitecture;
  block.mode = static_cast<uint8_t>(options.mode);
  block.durability = static_cast<uint8_t>(options.durability);
  block.seed = random_word();
  block.bank_size_bytes = bank_bytes;
  block.machine = machine_identity();
  block.user_version = options.user_version;
  {
    PhysicalMemory memory;
    memory.map_given(base, block);
    memory.fd_ = file.get();
    memory.format(fill);
    memory.fd_ = -1;
  }
  const bool synced = options.durability != Durability::kPower || fsync(file.get()) == 0;
  const int sync_error = errno;
  munmap(base, file_bytes);
  if (!synced) return failed(path, "can't be written to the disk", sync_error);

  // Into place, under a name that must not exist.
  const std::string nameless = "/proc/self/fd/" + std::to_string(file.get());
  if (linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    return failed(path, "can't be created", errno);
  }
  if (options.durability == Durability::kPower) {
    const Descriptor place(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (place.get() < 0 || fsync(place.get()) != 0) {
      return failed(path, "its name can't be written to the disk", errno);
    }
  }
  return true;
}

void PhysicalMemory::format(const std::function<uint64_t(PhysicalMemory&)>& fill) {
  make_board();
  PageTable table(*this);
  table.format();
  table.rebuild();
  superblock_.catalogue = fill(*this);
  for (Bank* bank : {&banks_.a, &banks_.b}) {
    Superblock block = superblock_;
    block.checksum = superblock_checksum(block, bank->number());
    bank->store(0, &block, sizeof(block));
  }
  banks_.fence();
  memset(static_cast<void*>(board_), 0, sizeof(Board));  // nobody has it attached
}

// --- judging ---

Result<Identity> PhysicalMemory::identify(const std::string& path, bool any_machine) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (file.get() < 0) return failed(path, "can't be opened", errno);
  struct stat info;
  if (fstat(file.get(), &info) != 0) return failed(path, "can't be examined", errno);
  if (!S_ISREG(info.st_mode)) return Error{path + ": not a regular file"};

  Identity identity;
  identity.file_size_bytes = static_cast<uint64_t>(info.st_size);
  Superblock a = {}, b = {};
  identity.good[0] = read_superblock(file.get(), 0, 0, &a);
  const uint64_t bank_bytes =
      identity.good[0] ? a.bank_size_bytes : bank_bytes_of(identity.file_size_bytes);
  identity.good[1] = bank_bytes != 0 && read_superblock(file.get(), bank_bytes, 1, &b);
  if (!identity.good[0] && !identity.good[1]) {
    // A version that this program can't judge may still say what it is.
    if (memcmp(a.magic, kMemoryMagic, sizeof(kMemoryMagic)) == 0 &&
        a.format_version != kMemoryFormatVersion) {
      return Error{unusable(path, a, any_machine)};
    }
    const bool was_one = memcmp(a.magic, kMemoryMagic, sizeof(kMemoryMagic)) == 0 ||
                         memcmp(b.magic, kMemoryMagic, sizeof(kMemoryMagic)) == 0;
    return Error{path + (was_one ? ": a stable memory whose superblocks are damaged in both banks"
                                 : ": not a stable memory (made by auxin stm create)")};
  }
  if (std::string why = stranger(path, info); !why.empty()) return Error{why};
  identity.superblock = identity.good[0] ? a : b;
  if (std::string why = unusable(path, identity.superblock, any_machine); !why.empty()) {
    return Error{why};
  }
  const uint64_t expected = memory_file_bytes(identity.superblock.bank_size_bytes);
  if (identity.file_size_bytes < expected) {
    if (identity.file_size_bytes < identity.superblock.bank_size_bytes) {
      return Error{path + ": cut off within its first bank (" +
                   std::to_string(identity.file_size_bytes) + " of " + std::to_string(expected) +
                   " bytes): both banks have lost objects"};
    }
    identity.truncated = true;
  } else if (identity.file_size_bytes > expected) {
    return Error{path + ": longer than its superblock says (" +
                 std::to_string(identity.file_size_bytes) + " bytes, expected " +
                 std::to_string(expected) + "); cut what was appended off with truncate -s"};
  }
  return identity;
}

// --- mapping ---

Result<bool> PhysicalMemory::map(const std::string& path, Access access,
                                 const MapOptions& options) {
  Result<Identity> identity = identify(path, options.any_machine);
  if (!identity) return Error{identity.error()};
  identity_ = identity.value();
  path_ = path;
  if (access == Access::kClient) return map_as_client();
  const bool read_only = access == Access::kRead;
  fd_ = open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
  if (fd_ < 0) return failed(path, "can't be opened", errno);
  if (!read_only) {
    Result<bool> locked = lock_presence();
    if (!locked) return locked;
  }
  const uint64_t expected = memory_file_bytes(identity_.superblock.bank_size_bytes);
  if (identity_.truncated) {
    if (read_only) {
      return Error{path + ": its second bank is cut off; auxin stm check --repair mends it"};
    }
    if (!alone_) return Error{path + ": truncated while others use it"};
    if (ftruncate(fd_, static_cast<off_t>(expected)) != 0) {
      return failed(path, "is truncated and can't be made whole again", errno);
    }
  }
  if (!read_only && alone_) {
    // What was reserved may have been cut off or punched out: every run gets storage again.
    const uint64_t bank_bytes = identity_.superblock.bank_size_bytes;
    const uint64_t meta = meta_pages(bank_bytes) * kPageBytes;
    for (const auto& [from, size] : {std::pair{uint64_t{0}, meta}, {bank_bytes, meta},
                                     {2 * bank_bytes, owners_offset(bank_bytes)}}) {
      const int error =
          posix_fallocate(fd_, static_cast<off_t>(from), static_cast<off_t>(size));
      if (error != 0) return failed(path, "no storage for its tables", error);
    }
  }
  void* base = mmap(nullptr, expected, read_only ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED,
                    fd_, 0);
  if (base == MAP_FAILED) return failed(path, "can't be mapped", errno);
  map_given(static_cast<char*>(base), identity_.superblock);
  base_ = static_cast<char*>(base);
  mapped_bytes_ = expected;
  if (!read_only && !alone_ && !board_is_ready()) return Error{path + kForeignBoard};
  if (mode() == Mode::kWindow && !read_only) {
    const Result<bool> guarded = map_guarded(base_, options.plain_guards);
    if (!guarded) return guarded;
  }
  if (durability() == Durability::kPower && !read_only) banks_.sync_at_fences(fd_);
  if (read_only) {
    in_use_ = byte_is_locked(fd_, kPresenceByte);
    own_page_infos_ = std::make_unique<PageInfo[]>(pages());
    page_infos_ = own_page_infos_.get();
    PageTable(*this).describe_all();
  }
  return true;
}

void PhysicalMemory::map_given(char* whole, const Superblock& superblock) {
  superblock_ = superblock;
  banks_.a = Bank(0, whole);
  banks_.b = Bank(1, whole + bank_bytes());
  char* board = whole + 2 * bank_bytes();
  board_ = reinterpret_cast<Board*>(board);
  page_infos_ = reinterpret_cast<PageInfo*>(board + page_infos_offset());
  owners_ = reinterpret_cast<std::atomic<uint64_t>*>(board + owners_offset(bank_bytes()));
  view_ = whole;
}

// Banks for reading only, by a descriptor that can't be made to write; the board for both.
Result<bool> PhysicalMemory::map_as_client() {
  const uint64_t bytes = memory_file_bytes(identity_.superblock.bank_size_bytes);
  if (identity_.truncated) return Error{path_ + ": truncated; its controller mends it"};
  const uint64_t both = 2 * identity_.superblock.bank_size_bytes;
  fd_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  const Descriptor board(open(path_.c_str(), O_RDWR | O_CLOEXEC));
  if (fd_ < 0 || board.get() < 0) return failed(path_, "can't be opened", errno);
  if (!lock_byte(fd_, F_RDLCK, kClientByte, true)) return failed(path_, "can't be locked", errno);
  void* base = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd_, 0);
  if (base == MAP_FAILED) return failed(path_, "can't be mapped", errno);
  base_ = static_cast<char*>(base);
  mapped_bytes_ = bytes;
  if (mmap(base_ + both, bytes - both, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, board.get(),
           static_cast<off_t>(both)) == MAP_FAILED) {
    return failed(path_, "can't be mapped", errno);
  }
  map_given(base_, identity_.superblock);
  if (board_is_foreign()) return Error{path_ + kForeignBoard};
  const auto bank = [&](int number) {
    return Bank(number, base_ + static_cast<uint64_t>(number) * bank_bytes(), nullptr, -1, -1, 0);
  };
  banks_.a = bank(0);
  banks_.b = bank(1);
  Result<std::unique_ptr<Connection>> connection =
      Connection::make(path_, bank_bytes(), seed(), board_);
  if (!connection) return Error{connection.error()};
  connection_ = std::move(connection.value());
  view_ = connection_->view();
  return true;
}

// Takes this process's right to store into the banks away from everything but Bank, and makes the
// window in which its programs see bank A.
Result<bool> PhysicalMemory::map_guarded(char* whole, bool plain) {
  const uint64_t both = 2 * bank_bytes();
  if (mprotect(whole, both, PROT_READ) != 0) {
    return failed(path_, "its banks can't be protected", errno);
  }
  if (const int key = plain ? -1 : store_key(); key >= 0) {
    // Without access first: there is no moment at which it is open.
    void* guarded = mmap(nullptr, both, PROT_NONE, MAP_SHARED, fd_, 0);
    if (guarded == MAP_FAILED) return failed(path_, "can't be mapped", errno);
    if (pkey_mprotect(guarded, both, PROT_READ | PROT_WRITE, key) == 0) {
      guarded_ = static_cast<char*>(guarded);
      madvise(guarded_, both, MADV_DONTFORK);
    } else {
      munmap(guarded, both);
    }
  }
  const auto bank = [&](int number) {
    const uint64_t offset = static_cast<uint64_t>(number) * bank_bytes();
    return Bank(number, whole + offset, guarded_ != nullptr ? guarded_ + offset : nullptr,
                guarded_ != nullptr ? store_key() : -1, fd_, offset);
  };
  banks_.a = bank(0);
  banks_.b = bank(1);
  Result<std::unique_ptr<Window>> window = Window::make(fd_, bank_bytes(), !plain);
  if (!window) return Error{path_ + ": " + window.error()};
  window_ = std::move(window.value());
  view_ = window_->base();
  return true;
}

// --- attaching ---

// One process attaches at a time; it is alone if nobody else has its presence locked.
Result<bool> PhysicalMemory::lock_presence() {
  if (!lock_byte(fd_, F_WRLCK, kAttachingByte, true)) {
    return failed(path_, "can't be locked", errno);
  }
  alone_ = lock_byte(fd_, F_WRLCK, kPresenceByte, false);
  if (!alone_ && errno != EAGAIN && errno != EACCES) {
    return failed(path_, "can't be locked", errno);
  }
  if (!alone_ && !lock_byte(fd_, F_RDLCK, kPresenceByte, true)) {
    return failed(path_, "can't be locked", errno);
  }
  has_clients_ = byte_is_locked(fd_, kClientByte);
  return true;
}

void PhysicalMemory::share() {
  if (fd_ < 0) return;
  board_->ready.store(kBoardReady, std::memory_order_release);
  // From exclusive to shared at once, then let the next one attach.
  CHECK(lock_byte(fd_, F_RDLCK, kPresenceByte, true) &&
            lock_byte(fd_, F_UNLCK, kAttachingByte, true),
        "locks that are held can be given up");
}

void PhysicalMemory::make_board() {
  board_->ready.store(0, std::memory_order_relaxed);
  new (&board_->statistics) Statistics{};
  board_->incarnation.store(random_word(), std::memory_order_relaxed);
  new (&board_->controller) ControllerWords{};
  board_->controller.lock.format();
  board_->page_lock.format();
  board_->boot_lock.format();
  for (Signal& signal : board_->signals) new (&signal) Signal{};
  for (Context& context : board_->contexts) {
    new (&context) Context{};
    context.lock.format();
  }
  new (&board_->node) NodeWords{};
  for (Seat& seat : board_->node.seats) seat.lock.format();
}

void PhysicalMemory::adopt() {
  superblock_.machine = machine_identity();
  // One bank at a time: a death in between leaves a good superblock.
  for (Bank* bank : {&banks_.a, &banks_.b}) {
    Superblock block = superblock_;
    block.checksum = superblock_checksum(block, bank->number());
    bank->store(0, &block, sizeof(block));
    banks_.fence();
  }
}

bool PhysicalMemory::reserve(uint64_t offset, uint64_t size_bytes, uint64_t headers_bytes) {
  if (fd_ < 0) return true;
  constexpr uint64_t kHeadersPerWord = sizeof(ObjectHeader) / sizeof(uint64_t);
  const uint64_t owners = 2 * bank_bytes() + owners_offset(bank_bytes()) + offset / kHeadersPerWord;
  for (const auto& [from, size] :
       {std::pair{offset, size_bytes}, {bank_bytes() + offset, size_bytes},
        {owners, headers_bytes / kHeadersPerWord}}) {
    if (size > 0 &&
        posix_fallocate(fd_, static_cast<off_t>(from), static_cast<off_t>(size)) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace auxin::stm
