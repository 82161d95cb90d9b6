// SPDX-License-Identifier: Apache-2.0
//
// The Stable Transactional Memory: memory whose objects survive the programs that use them, changed
// in transactions that happen wholly or not at all.
//
// After M. Banâtre et al., "How to Design Reliable Servers using Fault Tolerant Micro-Kernel
// Mechanisms", USENIX Mach Symposium 1991, §2.2 and §4.1: the classes Stable and Transaction are
// the paper's. Around them stand what a C++17 programmer expects: guards, typed references, typed
// making, a function that tries again after a conflict.
//
//     auto memory = auxin::stm::Memory::open("/dev/shm/accounts.stm");
//     auxin::stm::Transaction t;
//     t.Begin();
//     Segment* s = new Segment;          // class Segment : public auxin::stm::Stable
//     t.Commit();
//
// Link with the CMake target auxin::stmemu, or `pkg-config --libs auxin-stmemu`.
//
// Errors are exceptions of class Failure, with a status (stm_types.h) and a sentence. A conflict
// with another transaction is Failure with retryable(): abort and begin again.
//
// Thread safety: a Memory may be used by any thread. A Transaction belongs to the thread that began
// it, until it ends. One thread has at most one transaction at a time, its current one.
#pragma once

#include <setjmp.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "auxin/stm_types.h"

namespace auxin::stm {

class Activation;
class MemoryCore;
class StableNode;
class Transaction;
class Inside;  // of the library's own parts

// Something could not be done. If the status is a violation (is_violation) and the memory was
// opened with Policy::kAbort, the transaction has been aborted already.
class Failure : public std::runtime_error {
 public:
  Failure(Status status, const std::string& sentence)
      : std::runtime_error(sentence), status_(status) {}
  Status status() const { return status_; }
  // Another transaction was in the way: abort this one, and try again.
  bool retryable() const { return is_retryable(status_); }

 private:
  Status status_;
};

struct NewMemory {
  uint64_t size_bytes = uint64_t{64} << 20;  // of each of the two banks
  Mode mode = Mode::kChecked;
  Durability durability = Durability::kProcess;
};

struct OpenMemory {
  Policy policy = Policy::kAbort;  // of this program, for access violations
  bool any_machine = false;        // accept a file that another machine made
  // Mode kWindow: mprotect and system calls, as on machines without userfaultfd and protection
  // keys, which are several times as fast.
  bool plain_guards = false;
};

// What a memory holds and has lived through.
struct MemoryReport {
  Mode mode;
  Durability durability;
  // What catches accesses: "library", "userfaultfd", "mprotect" or "controller".
  std::string guard;
  // Who stores into the banks: "direct", "protection key", "system call" or "controller".
  std::string stores;
  uint64_t bank_size_bytes;
  uint64_t free_bytes;         // in whole pages
  uint64_t repairs;            // damaged copies mended since the first process attached
  uint64_t losses;             // objects found damaged in both banks
  uint64_t violations;
  uint64_t recovered;          // transactions of dead threads that were brought to an end
  std::vector<std::string> found_when_opened;
};

// A stable memory that this process has attached. Copies are the same memory; the last one that
// goes detaches it. The first memory that a process opens is its current one.
class Memory {
 public:
  // Makes the file; it must not exist. kRefused with a sentence that says why.
  static void create(const std::string& path, const NewMemory& how = {});
  // Attaches. Whoever comes first recovers what a crash left, whoever comes later ends what dead
  // threads left. Blocks while another process attaches. kRefused, kUnreachable.
  static Memory open(const std::string& path, const OpenMemory& how = {});
  // The one that transactions use which are not told: the first that was opened and is not closed;
  // in a stable task (stm_entities.h) the task's own.
  static Memory current();

  Memory() = default;
  explicit operator bool() const { return core_ != nullptr; }
  // Lets go of it; detached once no handle and no running transaction holds on to it.
  void close();

  MemoryReport report() const;
  Mode mode() const;
  const std::string& path() const;
  // Whether `pointer` is into this memory's objects, as this process sees them.
  bool contains(const void* pointer) const;
  // Where the object with this address (stable_ptr::address) is in this process.
  void* at_address(uint64_t address) const;

 private:
  friend class Inside;
  friend class StableNode;
  friend class Transaction;
  explicit Memory(std::shared_ptr<MemoryCore> core, uint64_t realm = 0)
      : core_(std::move(core)), realm_(realm) {}

  std::shared_ptr<MemoryCore> core_;
  uint64_t realm_ = 0;  // of a memory object (stm_entities.h); 0: the physical memory itself
};

// An object of the stable memory (paper 001, §4.1). Inherit from it; make with `new` and destroy
// with `delete` inside a transaction. An object that `new` made is open until the transaction ends;
// later transactions open it before they touch it, and close it after. `delete` wants it open.
//
// A class that inherits from it keeps no pointers to ordinary memory, no virtual functions, and no
// pointers to stable objects but stable_ptr: other processes see it at other addresses.
class Stable {
 public:
  static void* operator new(std::size_t size_bytes);
  static void* operator new[](std::size_t size_bytes) { return operator new(size_bytes); }
  static void* operator new(std::size_t, void* place) { return place; }
  static void operator delete(void* object) noexcept(false);
  static void operator delete[](void* object) noexcept(false) { operator delete(object); }
  static void operator delete(void*, void*) {}

  // Opens the object for the current transaction, for reading and changing. kConflict if another
  // transaction has it open and goes on having it.
  void Open();
  // The same, waiting up to `wait_us` for the other transaction to end; kDeadlock if that would
  // never be.
  void Open(uint64_t wait_us);
  void Close();
};

// A reference to an object that means the same in every process, and can be kept in stable objects:
// 8 bytes. It knows which life of its place it means: used after the object was freed, it says so,
// even if another object has been made there since. It is followed in the memory of the current
// transaction, else in the current memory.
template <typename T>
class stable_ptr;

namespace detail {

[[noreturn]] void raise(Status status, const std::string& sentence);
void* allocate(std::size_t size_bytes, uint32_t type);
void destroy(void* object);
void open(void* object, bool for_change, uint64_t wait_us, const uint16_t* life);
void close(void* object);
void close_quietly(void* object) noexcept;
// Throws unless the object is open in the current transaction.
void demand_open(const void* object, bool for_change);
void* object_at(uint64_t address);
void back_off(int attempt);                    // lets the other transaction go on
bool faults(const Memory& memory);             // trespassing gives a signal (mode kWindow)
bool show_again(Transaction& transaction, uint64_t address, bool writing);
void abort_quietly(Transaction& transaction);

// Where the thread goes on after it has trespassed (mode kWindow).
class Landing {
 public:
  Landing();
  ~Landing();
  Landing(const Landing&) = delete;
  Landing& operator=(const Landing&) = delete;
  [[noreturn]] void trespassed(Status status, const std::string& why);
  [[noreturn]] void raise() const;

  sigjmp_buf place;

 private:
  Landing* outer_;
  Status status_ = Status::kOk;
  char why_[200] = {};
};
uint64_t packed_reference(const void* object); // of one that is open

constexpr uint32_t hash_of(const char* text) {
  uint32_t hash = 2166136261u;
  for (; *text != '\0'; ++text) hash = (hash ^ static_cast<unsigned char>(*text)) * 16777619u;
  return hash;
}

// The number by which `auxin stm dump` tells types apart.
template <typename T>
constexpr uint32_t type_tag() {
  return hash_of(__PRETTY_FUNCTION__) | 1;
}

template <typename T>
constexpr void check_stable_type() {
  static_assert(!std::is_polymorphic_v<T>,
                "a stable object has no virtual functions: other programs have other tables");
  static_assert(std::is_trivially_destructible_v<T>,
                "a stable object outlives programs, so nobody would run its destructor");
}

}  // namespace detail

template <typename T>
class stable_ptr {
 public:
  constexpr stable_ptr() = default;
  constexpr stable_ptr(std::nullptr_t) {}
  // To an object that is open in the current transaction.
  stable_ptr(T* object)
      : reference_(object == nullptr ? 0 : detail::packed_reference(object)) {}
  constexpr static stable_ptr of_raw(uint64_t reference) {
    stable_ptr pointer;
    pointer.reference_ = reference;
    return pointer;
  }
  constexpr uint64_t raw() const { return reference_; }

  constexpr explicit operator bool() const { return reference_ != 0; }
  constexpr uint64_t address() const { return reference_ & ((uint64_t{1} << 48) - 1); }
  constexpr uint16_t life() const { return static_cast<uint16_t>(reference_ >> 48); }
  // Where the object is in this process; null for null. It must be open to be touched.
  T* get() const {
    return reference_ == 0 ? nullptr : static_cast<T*>(detail::object_at(address()));
  }
  T* operator->() const { return get(); }
  T& operator*() const { return *get(); }

  friend constexpr bool operator==(stable_ptr a, stable_ptr b) {
    return a.reference_ == b.reference_;
  }
  friend constexpr bool operator!=(stable_ptr a, stable_ptr b) { return !(a == b); }

 private:
  uint64_t reference_ = 0;  // address | life << 48
};
static_assert(sizeof(stable_ptr<int>) == 8);

// An object held open: closed when the guard goes. `Opened<const T>` opens for reading only. Each
// access through it is checked; a reference taken from it is not.
template <typename T>
class Opened {
 public:
  explicit Opened(stable_ptr<std::remove_const_t<T>> pointer, uint64_t wait_us = 0)
      : object_(pointer.get()) {
    if (object_ == nullptr) detail::raise(Status::kNotStable, "a null reference can't be opened");
    const uint16_t life = pointer.life();
    detail::open(const_cast<std::remove_const_t<T>*>(object_), !std::is_const_v<T>, wait_us, &life);
  }
  Opened(Opened&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  Opened& operator=(Opened&&) = delete;
  ~Opened() {
    if (object_ != nullptr) {
      detail::close_quietly(const_cast<std::remove_const_t<T>*>(object_));
    }
  }

  T* operator->() const { return checked(); }
  T& operator*() const { return *checked(); }
  T* get() const { return object_; }
  // Frees the object, at commit; the guard is empty then.
  void destroy() {
    detail::destroy(const_cast<std::remove_const_t<T>*>(checked()));
    object_ = nullptr;
  }
  stable_ptr<std::remove_const_t<T>> reference() const {
    return stable_ptr<std::remove_const_t<T>>(const_cast<std::remove_const_t<T>*>(object_));
  }

 private:
  T* checked() const {
    detail::demand_open(object_, !std::is_const_v<T>);
    return object_;
  }

  T* object_;
};

// A transaction (paper 001, §2.2.2, §4.1). As a variable it uses one of the memory's own
// descriptors. `new Transaction`, inside another transaction, makes a descriptor in the stable
// memory, which is there once that transaction commits, apart from its activation by Begin; it
// survives this program (descriptor(), at()) and `delete`, inside a transaction, removes it.
class Transaction {
 public:
  Transaction();                           // of the current memory, as it is at Begin
  explicit Transaction(const Memory& memory);
  ~Transaction();                          // aborts what still runs
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  static void* operator new(std::size_t size_bytes);
  static void operator delete(void* transaction) noexcept(false);
  // On a descriptor that was made earlier, perhaps by another program. The descriptor stays when
  // the handle goes.
  struct Forget {
    void operator()(Transaction* transaction) const;
  };
  using Handle = std::unique_ptr<Transaction, Forget>;
  static Handle at(const Memory& memory, uint64_t descriptor);
  uint64_t descriptor() const { return descriptor_; }

  // kNested if it, or another one, is this thread's current transaction; kConflict if its
  // descriptor is active elsewhere; kBusy if no more transactions can run at once.
  void Begin();
  // All its effects, or none: after kDamaged it is aborted.
  void Commit();
  void Abort();
  bool active() const { return activation_ != nullptr; }

  // --- objects, by type ---

  // A new T, open until the transaction ends.
  template <typename T, typename... Arguments>
  Opened<T> make(Arguments&&... arguments);
  // Opens for changing (`Opened<const T>`: reading), waiting up to `wait_us` for another one.
  template <typename T>
  Opened<T> open(stable_ptr<std::remove_const_t<T>> pointer, uint64_t wait_us = 0) {
    demand_current();
    return Opened<T>(pointer, wait_us);
  }

  // --- objects, by bytes: every access is checked ---

  void* allocate(uint64_t size_bytes, uint32_t type = 0);
  void free(void* object);
  void read(const void* object, uint64_t offset, void* to, uint64_t size_bytes);
  void write(void* object, uint64_t offset, const void* from, uint64_t size_bytes);
  uint64_t size_of(const void* object);  // of one that is open

  // --- roots: names by which a program finds its objects again ---

  template <typename T>
  stable_ptr<T> root(const std::string& name) {
    return stable_ptr<T>::of_raw(raw_root(name));
  }
  // A name of 1 to 47 bytes; a null reference removes it.
  template <typename T>
  void set_root(const std::string& name, stable_ptr<T> object) {
    set_raw_root(name, object.raw());
  }

  // The calling thread's current transaction, or null.
  static Transaction* current();

 private:
  friend class Inside;
  friend void* detail::allocate(std::size_t, uint32_t);
  friend void detail::destroy(void*);
  friend void detail::open(void*, bool, uint64_t, const uint16_t*);
  friend void detail::close(void*);
  friend void detail::close_quietly(void*) noexcept;
  friend void detail::demand_open(const void*, bool);
  friend void* detail::object_at(uint64_t);
  friend uint64_t detail::packed_reference(const void*);
  friend bool detail::show_again(Transaction&, uint64_t, bool);
  friend void detail::abort_quietly(Transaction&);

  void demand_current() const;
  void check(Status status);
  [[noreturn, gnu::cold]] void refused(Status status);
  void begin_anew();
  void ended() noexcept;
  uint64_t raw_root(const std::string& name);
  void set_raw_root(const std::string& name, uint64_t reference);

  std::shared_ptr<MemoryCore> core_;
  Activation* activation_ = nullptr;  // while active; the thread's own
  Activation* last_ = nullptr;        // of thread `thread_`, for the next Begin
  uint64_t thread_ = 0;               // which thread began it
  uint64_t descriptor_ = 0;           // 0: one of the memory's own
  uint64_t realm_ = 0;                // Memory::realm_
  bool current_memory_ = false;       // look for the memory at Begin
};

// Begins; aborts when it goes, unless it was committed.
class TransactionGuard {
 public:
  explicit TransactionGuard(Transaction& transaction) : transaction_(transaction) {
    transaction_.Begin();
  }
  TransactionGuard(const TransactionGuard&) = delete;
  TransactionGuard& operator=(const TransactionGuard&) = delete;
  ~TransactionGuard() {
    if (!ended_ && transaction_.active()) transaction_.Abort();
  }
  void commit() {
    transaction_.Commit();
    ended_ = true;
  }

 private:
  Transaction& transaction_;
  bool ended_ = false;
};

namespace detail {

template <typename Body>
auto attempt(Transaction& transaction, Body& body) {
  TransactionGuard guard(transaction);
  if constexpr (std::is_void_v<decltype(body(transaction))>) {
    body(transaction);
    guard.commit();
  } else {
    auto result = body(transaction);
    guard.commit();
    return result;
  }
}

template <typename Body>
auto attempt_with_landing(Transaction& transaction, Body& body) {
  Landing landing;
  if (sigsetjmp(landing.place, 0) != 0) landing.raise();
  return attempt(transaction, body);
}

}  // namespace detail

// Runs `body(transaction)` in a transaction of `memory` and commits; after a conflict aborts and
// tries again, up to `attempts` times. What `body` throws aborts and is thrown on.
//
// In mode kWindow, where raw pointers are caught: if `body` touches stable memory that is not open
// (Policy::kAbort), the transaction is aborted and this fails with kNotOpen. `body` ends at the
// very instruction; destructors of its own objects do not run.
template <typename Body>
auto atomically(const Memory& memory, Body&& body, int attempts = 1000) {
  Transaction transaction(memory);
  const bool faults = detail::faults(memory);
  for (int attempt = 1;; ++attempt) {
    try {
      return faults ? detail::attempt_with_landing(transaction, body)
                    : detail::attempt(transaction, body);
    } catch (const Failure& failure) {
      if (!failure.retryable() || attempt >= attempts) throw;
    }
    detail::back_off(attempt);
  }
}

template <typename T, typename... Arguments>
Opened<T> Transaction::make(Arguments&&... arguments) {
  detail::check_stable_type<T>();
  demand_current();
  void* place = detail::allocate(sizeof(T), detail::type_tag<T>());
  T* object = ::new (place) T(std::forward<Arguments>(arguments)...);
  return Opened<T>(stable_ptr<T>(object));
}

}  // namespace auxin::stm
