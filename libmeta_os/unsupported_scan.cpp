// SPDX-License-Identifier: Apache-2.0
#include "libmeta_os/unsupported_scan.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <iterator>

#include "libmeta_os/raw_system_calls.h"

namespace auxin::os {
namespace {

enum class Match : uint8_t { kWhole, kBegin, kPart };

// One sign. Names are mangled; of `and_part` too the name must have a part.
struct Sign {
  Unsupported use;
  bool import_only;        // a definition of that name says nothing
  Match match;
  const char* text;
  const char* and_part;    // null: no more is asked
  const char* shown;       // null: the symbol itself
};

constexpr Sign kSigns[] = {
    {Unsupported::kAtomicWait, false, Match::kPart, "__atomic_wait_address", nullptr,
     "std::__atomic_wait_address"},
    {Unsupported::kAtomicWait, false, Match::kPart, "__detail15__platform_wait", nullptr,
     "std::__detail::__platform_wait"},
    {Unsupported::kAtomicWait, false, Match::kPart, "__detail18__waiter_pool_base", nullptr,
     "std::__detail::__waiter_pool"},
    {Unsupported::kAtomicObject, true, Match::kBegin, "__atomic_", nullptr, nullptr},
    {Unsupported::kAtomicObject, true, Match::kPart, "5boost7atomics6detail9lock_pool", nullptr,
     "boost::atomic"},
    {Unsupported::kAtomicPointer, true, Match::kBegin, "_ZNSt10_Sp_lockerC", nullptr,
     "std::atomic_load(std::shared_ptr)"},
    {Unsupported::kAtomicPointer, false, Match::kPart, "St10_Sp_atomicI", nullptr,
     "std::atomic<std::shared_ptr>"},
    {Unsupported::kTimedFuture, true, Match::kBegin,
     "_ZNSt28__atomic_futex_unsigned_base26_M_futex_wait_until_steady", nullptr,
     "std::future::wait_for"},
    {Unsupported::kLockFree, false, Match::kPart, "5boost8lockfree", nullptr, "boost::lockfree"},
    {Unsupported::kLockFree, false, Match::kPart, "10moodycamel", nullptr, "moodycamel"},
    {Unsupported::kLockFree, false, Match::kPart, "3tbb", "concurrent_", "tbb::concurrent_…"},
    {Unsupported::kLockFree, false, Match::kPart, "5folly", "MPMCQueue", "folly::MPMCQueue"},
    {Unsupported::kLockFree, false, Match::kPart, "5folly", "ProducerConsumerQueue",
     "folly::ProducerConsumerQueue"},
    {Unsupported::kLockFree, false, Match::kPart, "5folly", "UnboundedQueue",
     "folly::UnboundedQueue"},
    {Unsupported::kLockFree, false, Match::kPart, "5folly", "AtomicHash", "folly::AtomicHashMap"},
    {Unsupported::kLockFree, false, Match::kPart, "5folly", "AtomicUnordered",
     "folly::AtomicUnorderedInsertMap"},
    {Unsupported::kLockFree, false, Match::kPart, "5folly", "ConcurrentHashMap",
     "folly::ConcurrentHashMap"},
    {Unsupported::kLockFree, false, Match::kPart, "5folly", "ConcurrentSkipList",
     "folly::ConcurrentSkipList"},
    {Unsupported::kLockFree, false, Match::kPart, "3cds9container", nullptr, "cds::container"},
    {Unsupported::kLockFree, false, Match::kPart, "3cds9intrusive", nullptr, "cds::intrusive"},
    {Unsupported::kLockFree, true, Match::kBegin, "urcu_", nullptr, "liburcu"},
    {Unsupported::kLockFree, true, Match::kBegin, "rcu_read_lock", nullptr, "liburcu"},
    {Unsupported::kLockFree, true, Match::kBegin, "cds_lf", nullptr, "liburcu"},
    {Unsupported::kLockFree, true, Match::kBegin, "cds_wf", nullptr, "liburcu"},
    {Unsupported::kLockFree, true, Match::kBegin, "ck_epoch_", nullptr, "Concurrency Kit"},
    {Unsupported::kLockFree, true, Match::kBegin, "ck_ht_", nullptr, "Concurrency Kit"},
    {Unsupported::kLockFree, true, Match::kBegin, "ck_hs_", nullptr, "Concurrency Kit"},
    {Unsupported::kProcessShared, true, Match::kWhole, "pthread_mutexattr_setpshared", nullptr,
     nullptr},
    {Unsupported::kProcessShared, true, Match::kWhole, "pthread_rwlockattr_setpshared", nullptr,
     nullptr},
    {Unsupported::kProcessShared, true, Match::kWhole, "pthread_condattr_setpshared", nullptr,
     nullptr},
    {Unsupported::kProcessShared, true, Match::kWhole, "pthread_barrierattr_setpshared", nullptr,
     nullptr},
    {Unsupported::kProcessShared, true, Match::kWhole, "sem_open", nullptr, nullptr},
    {Unsupported::kProcessShared, true, Match::kWhole, "semop", nullptr, nullptr},
    {Unsupported::kProcessShared, true, Match::kWhole, "semtimedop", nullptr, nullptr},
    {Unsupported::kRobustMutex, true, Match::kWhole, "pthread_mutexattr_setrobust", nullptr,
     nullptr},
    {Unsupported::kIoUring, true, Match::kBegin, "io_uring_", nullptr, nullptr},
    {Unsupported::kCancellation, true, Match::kWhole, "pthread_cancel", nullptr, nullptr},
    {Unsupported::kTimer, true, Match::kWhole, "timer_create", nullptr, nullptr},
    {Unsupported::kTimer, true, Match::kWhole, "setitimer", nullptr, nullptr},
};

// By number; the names as in <sys/syscall.h>.
struct CallSign {
  uint32_t number;
  Unsupported use;
  const char* shown;
};
constexpr CallSign kCallSigns[] = {
    {SYS_futex, Unsupported::kFutex, "syscall(SYS_futex)"},
    {449, Unsupported::kFutex, "syscall(SYS_futex_waitv)"},
    {SYS_io_uring_setup, Unsupported::kIoUring, "syscall(SYS_io_uring_setup)"},
    {SYS_getrandom, Unsupported::kRawValue, "syscall(SYS_getrandom)"},
    {SYS_clock_gettime, Unsupported::kRawValue, "syscall(SYS_clock_gettime)"},
    {SYS_gettimeofday, Unsupported::kRawValue, "syscall(SYS_gettimeofday)"},
    {SYS_time, Unsupported::kRawValue, "syscall(SYS_time)"},
};

bool fits(const Sign& sign, const char* name) {
  switch (sign.match) {
    case Match::kWhole:
      return strcmp(name, sign.text) == 0;
    case Match::kBegin:
      if (strncmp(name, sign.text, strlen(sign.text)) != 0) return false;
      break;
    case Match::kPart:
      if (strncmp(name, "_Z", 2) != 0 || strstr(name, sign.text) == nullptr) return false;
      break;
  }
  return sign.and_part == nullptr || strstr(name, sign.and_part) != nullptr;
}

class Scan {
 public:
  using Found = void (*)(Unsupported, const char*, void*);
  Scan(Found found, void* context) : found_(found), context_(context) {}

  void import(const char* name) { symbol(name, true); }
  void definition(const char* name) { symbol(name, false); }

  void system_call(uint32_t number) {
    for (const CallSign& sign : kCallSigns) {
      // What std::atomic::wait comes to in line is its own futex call.
      const bool known = sign.use == Unsupported::kFutex && told(Unsupported::kAtomicWait);
      if (sign.number == number && !known) tell(sign.use, sign.shown);
    }
  }

 private:
  // Asked of code that asks whether it has to lock; touches nothing.
  static bool harmless(const char* name) { return strcmp(name, "__atomic_is_lock_free") == 0; }

  void symbol(const char* name, bool imported) {
    for (size_t i = 0; i < std::size(kSigns); ++i) {
      const Sign& sign = kSigns[i];
      if (shown_[i] || (sign.import_only && !imported) || !fits(sign, name) || harmless(name)) {
        continue;
      }
      shown_[i] = true;
      tell(sign.use, sign.shown != nullptr ? sign.shown : name);
    }
  }

  // A kind is told once; of containers each library, which has its own sign.
  void tell(Unsupported use, const char* shown) {
    if (use != Unsupported::kLockFree && told(use)) return;
    told_ |= 1u << static_cast<unsigned>(use);
    found_(use, shown, context_);
  }
  bool told(Unsupported use) const { return (told_ >> static_cast<unsigned>(use) & 1) != 0; }

  const Found found_;
  void* const context_;
  uint32_t told_ = 0;
  bool shown_[std::size(kSigns)] = {};
};

void look_at_imports(const markers::ElfModule& module, Scan& scan) {
  const Elf64_Sym* symbols = module.symbols;
  for (const markers::ElfModule::Relocations& table : module.relocations) {
    for (size_t i = 0; i < table.count; ++i) {
      const uint64_t index = ELF64_R_SYM(table.begin[i].r_info);
      if (index == 0) continue;
      const char* name = module.strings + symbols[index].st_name;
      if (symbols[index].st_shndx == SHN_UNDEF) {
        scan.import(name);
      } else {
        scan.definition(name);
      }
    }
  }
}

void look_at_exports(const markers::ElfModule& module, Scan& scan) {
  if (module.gnu_hash == nullptr) return;
  const uint32_t bucket_count = module.gnu_hash[0], first = module.gnu_hash[1];
  const uint32_t* buckets = module.gnu_hash + 4 + 2 * static_cast<size_t>(module.gnu_hash[2]);
  const uint32_t* chains = buckets + bucket_count;
  for (uint32_t bucket = 0; bucket < bucket_count; ++bucket) {
    uint32_t index = buckets[bucket];
    if (index < first) continue;
    do scan.definition(module.strings + module.symbols[index].st_name);
    while ((chains[index++ - first] & 1) == 0);
  }
}

// The file's bytes for as long as it lives. Nothing: it is not there, or not what was loaded.
class MappedFile {
 public:
  explicit MappedFile(const char* path) {
    const long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    struct stat status = {};
    if (syscall(SYS_fstat, fd, &status) == 0 && S_ISREG(status.st_mode)) {
      size_ = static_cast<size_t>(status.st_size);
      const long memory = syscall(SYS_mmap, nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
      bytes_ = memory == -1 ? nullptr : reinterpret_cast<const char*>(memory);
    }
    syscall(SYS_close, fd);
  }
  ~MappedFile() {
    if (bytes_ != nullptr) syscall(SYS_munmap, bytes_, size_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // `count` objects at the offset; null where the file ends before.
  template <class Object>
  const Object* at(uint64_t offset, uint64_t count = 1) const {
    if (bytes_ == nullptr || offset % alignof(Object) != 0 || offset > size_ ||
        count > (size_ - offset) / sizeof(Object)) {
      return nullptr;
    }
    return reinterpret_cast<const Object*>(bytes_ + offset);
  }

 private:
  const char* bytes_ = nullptr;
  size_t size_ = 0;
};

// The names of a symbol table in a file that may be anything.
void look_at_table(const MappedFile& file, const Elf64_Shdr& table, const Elf64_Shdr& names,
                   Scan& scan) {
  const uint64_t count = table.sh_size / sizeof(Elf64_Sym);
  const auto* symbols = file.at<Elf64_Sym>(table.sh_offset, count);
  const auto* text = file.at<char>(names.sh_offset, names.sh_size);
  if (symbols == nullptr || text == nullptr || names.sh_size == 0 ||
      text[names.sh_size - 1] != '\0') {
    return;
  }
  for (uint64_t i = 1; i < count; ++i) {
    if (symbols[i].st_shndx == SHN_UNDEF || symbols[i].st_name >= names.sh_size) continue;
    scan.definition(text + symbols[i].st_name);
  }
}

void look_at_file(const char* path, Scan& scan) {
  const MappedFile file(path);
  const auto* header = file.at<Elf64_Ehdr>(0);
  if (header == nullptr || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_shentsize != sizeof(Elf64_Shdr)) {
    return;
  }
  const auto* sections = file.at<Elf64_Shdr>(header->e_shoff, header->e_shnum);
  for (uint64_t i = 0; sections != nullptr && i < header->e_shnum; ++i) {
    if (sections[i].sh_type == SHT_SYMTAB && sections[i].sh_link < header->e_shnum) {
      look_at_table(file, sections[i], sections[sections[i].sh_link], scan);
    }
  }
}

}  // namespace

void scan_module(const markers::ElfModule& module, const char* path,
                 void (*found)(Unsupported, const char*, void*), void* context) {
  Scan scan(found, context);
  look_at_imports(module, scan);
  look_at_exports(module, scan);
  if (path != nullptr) look_at_file(path, scan);
  for_each_raw_system_call(
      module, [](uint32_t number, void* to) { static_cast<Scan*>(to)->system_call(number); },
      &scan);
}

}  // namespace auxin::os
