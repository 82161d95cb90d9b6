// SPDX-License-Identifier: Apache-2.0
//
// Making, judging, locking and mapping the file of a physical STM.
#include "stmemu/memory/physical_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "stmemu/check.h"
#include "stmemu/file.h"
#include "stmemu/isolated/connection.h"
#include "stmemu/memory/page_table.h"
#include "stmemu/memory/superblock.h"
#include "stmemu/protection/store_guard.h"
#include "stmemu/random_word.h"

namespace auxin::stm {
namespace {

// Bytes of the file on which locks stand for something; far beyond what it can hold.
constexpr off_t kAttachingByte = off_t{1} << 61;       // exclusive: somebody is attaching
constexpr off_t kPresenceByte = kAttachingByte + 1;    // shared: somebody has it attached
constexpr off_t kClientByte = kAttachingByte + 2;      // shared: a client of its controller has

constexpr const char* kForeignBoard =
    ": in use by programs with another version of this library; end them first";

struct Part {
  uint64_t offset, size_bytes;
};

// What an empty memory needs storage for: the tables of both banks, the board without owner words.
std::array<Part, 3> tables(uint64_t bank_bytes) {
  const uint64_t meta = meta_pages(bank_bytes) * kPageBytes;
  return {Part{0, meta}, Part{bank_bytes, meta}, Part{2 * bank_bytes, owners_offset(bank_bytes)}};
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

uint64_t PhysicalMemory::fixed_bytes(uint64_t bank_bytes) {
  uint64_t sum = 0;
  for (const Part& part : tables(bank_bytes)) sum += part.size_bytes;
  return sum;
}

Result<bool> PhysicalMemory::create(const std::string& path, const CreateOptions& options,
                                    const Fill& fill) {
  const uint64_t bank_bytes = whole_pages(options.bank_size_bytes) * kPageBytes;
  if (bank_bytes < kMinBankBytes || bank_bytes > kMaxBankBytes) {
    return Error{path + ": a bank has at least " + std::to_string(kMinBankBytes / 1024) +
                 " KiB and at most 1 TiB, not " + mebibytes(options.bank_size_bytes)};
  }
  if (options.plain_size_bytes > 0 && bank_bytes > kMaxBankBytesWithPlain) {
    return Error{path + ": a bank beside a plain area has at most " +
                 mebibytes(kMaxBankBytesWithPlain) + ", not " + mebibytes(bank_bytes)};
  }
  const std::string directory = directory_of(path);
  struct statvfs space;
  const uint64_t fixed = fixed_bytes(bank_bytes);
  if (statvfs(directory.c_str(), &space) == 0 && space.f_blocks != 0 &&
      uint64_t{space.f_bavail} * space.f_frsize < fixed) {
    return Error{path + ": not enough space: the file system of " + directory + " has " +
                 mebibytes(uint64_t{space.f_bavail} * space.f_frsize) +
                 " free, an empty memory of this size needs " + mebibytes(fixed)};
  }

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
  block.plain_pages = static_cast<uint32_t>(whole_pages(options.plain_size_bytes));

  Result<NewFile> file = NewFile::make(path, whole_file_bytes(block));
  if (!file) return Error{file.error()};
  for (const auto& [from, size] : tables(bank_bytes)) {
    const Result<bool> stored = file->take_storage(from, size);
    if (!stored) return stored;
  }
  const uint64_t mapped_bytes = memory_file_bytes(bank_bytes);
  char* base = static_cast<char*>(
      mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd(), 0));
  if (base == MAP_FAILED) return file_error(path, "can't be mapped", errno);
  {
    PhysicalMemory memory;
    memory.map_given(base, block);
    memory.fd_ = file->fd();
    memory.format(fill.banks);
    memory.fd_ = -1;
  }
  munmap(base, mapped_bytes);
  if (fill.plain) {
    const Result<bool> filled = fill.plain(*file, plain_offset(block));
    if (!filled) return filled;
  }
  return file->give_name(options.durability == Durability::kPower);
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
  const FileDescriptor file(FileDescriptor::open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK));
  if (!file.valid()) return file_error(path, "can't be opened", errno);
  struct stat info;
  if (fstat(file.get(), &info) != 0) return file_error(path, "can't be examined", errno);
  if (!S_ISREG(info.st_mode)) return Error{path + ": not a regular file"};

  Identity identity;
  identity.file_size_bytes = static_cast<uint64_t>(info.st_size);
  const Superblocks found = find_superblocks(file.get(), identity.file_size_bytes);
  std::string why = found.sound() != nullptr ? owner_fault(info) : std::string();
  if (why.empty()) why = superblock_fault(found, any_machine);
  if (!why.empty()) return Error{path + ": " + why};
  identity.superblock = *found.sound();
  std::copy(found.good, found.good + 2, identity.good);
  const uint64_t expected = whole_file_bytes(identity.superblock);
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
  if (fd_ < 0) return file_error(path, "can't be opened", errno);
  if (!read_only) {
    Result<bool> locked = lock_presence();
    if (!locked) return locked;
  }
  const uint64_t bank_bytes = identity_.superblock.bank_size_bytes;
  if (identity_.truncated) {
    if (read_only) {
      return Error{path + ": its second bank is cut off; auxin stm check --repair mends it"};
    }
    if (!alone_) return Error{path + ": truncated while others use it"};
    if (ftruncate(fd_, static_cast<off_t>(whole_file_bytes(identity_.superblock))) != 0) {
      return file_error(path, "is truncated and can't be made whole again", errno);
    }
  }
  if (!read_only && alone_) {
    // What was reserved may have been cut off or punched out: every run gets storage again.
    for (const auto& [from, size] : tables(bank_bytes)) {
      const int error =
          posix_fallocate(fd_, static_cast<off_t>(from), static_cast<off_t>(size));
      if (error != 0) return file_error(path, "no storage for its tables", error);
    }
  }
  const uint64_t bytes = memory_file_bytes(bank_bytes);
  void* base = mmap(nullptr, bytes, read_only ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED,
                    fd_, 0);
  if (base == MAP_FAILED) return file_error(path, "can't be mapped", errno);
  map_given(static_cast<char*>(base), identity_.superblock);
  base_ = static_cast<char*>(base);
  mapped_bytes_ = bytes;
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
  size_classes_ = &classes_[mode() == Mode::kWindow];
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
  const FileDescriptor board(FileDescriptor::open(path_, O_RDWR));
  if (fd_ < 0 || !board.valid()) return file_error(path_, "can't be opened", errno);
  if (!lock_byte(fd_, F_RDLCK, kClientByte, true)) {
    return file_error(path_, "can't be locked", errno);
  }
  void* base = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd_, 0);
  if (base == MAP_FAILED) return file_error(path_, "can't be mapped", errno);
  base_ = static_cast<char*>(base);
  mapped_bytes_ = bytes;
  if (mmap(base_ + both, bytes - both, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, board.get(),
           static_cast<off_t>(both)) == MAP_FAILED) {
    return file_error(path_, "can't be mapped", errno);
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
    return file_error(path_, "its banks can't be protected", errno);
  }
  if (const int key = plain ? -1 : store_key(); key >= 0) {
    // Without access first: there is no moment at which it is open.
    void* guarded = mmap(nullptr, both, PROT_NONE, MAP_SHARED, fd_, 0);
    if (guarded == MAP_FAILED) return file_error(path_, "can't be mapped", errno);
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
    return file_error(path_, "can't be locked", errno);
  }
  alone_ = lock_byte(fd_, F_WRLCK, kPresenceByte, false);
  if (!alone_ && errno != EAGAIN && errno != EACCES) {
    return file_error(path_, "can't be locked", errno);
  }
  if (!alone_ && !lock_byte(fd_, F_RDLCK, kPresenceByte, true)) {
    return file_error(path_, "can't be locked", errno);
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
