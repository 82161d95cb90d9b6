// SPDX-License-Identifier: Apache-2.0
//
// The classes Transaction and Stable of <auxin/stm.h>, over Activation.
#include <sched.h>
#include <time.h>

#include <algorithm>

#include "auxin/stm.h"
#include "stmemu/interface/thread_activations.h"
#include "stmemu/memory/realm.h"
#include "stmemu/transaction/catalogue.h"

namespace auxin::stm {
namespace {

// What Transaction's operator new tells the constructor, and the destructor operator delete: which
// descriptor the handle at `place` has.
struct Made {
  void* place = nullptr;
  uint64_t descriptor = 0;
  std::shared_ptr<MemoryCore> core;
};
thread_local Made made;
struct Unmade {
  void* place = nullptr;
  uint64_t descriptor = 0;
};
thread_local constinit Unmade unmade;

uint64_t offset_in(const MemoryCore& core, const void* object) {
  // Outside the memory it is an offset outside the bank: no object begins there.
  return static_cast<uint64_t>(static_cast<const char*>(object) - core.physical.view());
}

[[noreturn, gnu::cold, gnu::noinline]] void refuse_outside(const char* deed) {
  detail::raise(Status::kNotActive, std::string(deed) +
                                        " outside of a transaction: this thread has none that is "
                                        "active");
}

inline Transaction& demand_transaction(const char* deed) {
  Transaction* transaction = this_thread.current;
  if (__builtin_expect(transaction == nullptr, 0)) refuse_outside(deed);
  return *transaction;
}

void demand_realm(const PhysicalMemory& physical, uint64_t realm) {
  MemoryObjectRecord record;
  if (realm_lives(physical, realm, &record)) return;
  detail::raise(Status::kNoRight, "the stable memory object is no more");
}

}  // namespace

// --- Transaction ---

Transaction::Transaction() : Transaction(Memory()) { current_memory_ = core_ == nullptr; }

Transaction::Transaction(const Memory& memory)
    : core_(memory.core_ != nullptr ? memory.core_->shared_from_this() : nullptr),
      realm_(memory.realm_) {
  if (__builtin_expect(made.place != this, 1)) return;
  // Made by new: the descriptor is where the making transaction is, whatever memory was named.
  descriptor_ = made.descriptor;
  core_ = std::move(made.core);
  made = {};
}

Transaction::~Transaction() {
  if (active() && this_thread.number == thread_) {
    static_cast<void>(activation_->abort());
    ended();
  }
  if (descriptor_ != 0) unmade = {this, descriptor_};
}

void* Transaction::operator new(std::size_t size_bytes) {
  Transaction& maker = demand_transaction("a transaction descriptor can't be made");
  uint64_t descriptor = 0;
  maker.check(maker.activation_->allocate(kDescriptorBytes, ObjectKind::kDescriptor, 0,
                                          &descriptor));
  void* place = ::operator new(size_bytes);
  made = {place, descriptor, maker.core_};
  return place;
}

void Transaction::operator delete(void* transaction) noexcept(false) {
  if (transaction == nullptr) return;
  const uint64_t descriptor = unmade.place == transaction ? unmade.descriptor : 0;
  unmade = {};
  ::operator delete(transaction);
  if (descriptor == 0) return;
  Transaction& remover = demand_transaction("a transaction descriptor can't be removed");
  remover.check(remover.activation_->free(descriptor));
}

Transaction::Handle Transaction::at(const Memory& memory, uint64_t descriptor) {
  Handle transaction(::new (::operator new(sizeof(Transaction))) Transaction(memory));
  transaction->descriptor_ = descriptor;
  return transaction;
}

void Transaction::Forget::operator()(Transaction* transaction) const {
  transaction->~Transaction();
  ::operator delete(static_cast<void*>(transaction));
}

void Transaction::Begin() {
  if (__builtin_expect(active(), 0)) {
    detail::raise(Status::kNested, "this transaction has begun already");
  }
  if (__builtin_expect(this_thread.current != nullptr, 0) && this_thread.current->active()) {
    detail::raise(Status::kNested, "this thread is in a transaction already; commit or abort it "
                                   "first");
  }
  // Most often the thread begins again what it began last: its activation is there as long as the
  // memory is held on to, which `core_` does.
  // (The thread's transactions share it: another one may have left it in its memory object.)
  if (__builtin_expect(last_ != nullptr && thread_ == this_thread.number && !last_->active() &&
                           realm_ == 0 && last_->realm() == 0 &&
                           !last_->wants_descriptor(descriptor_), 1)) {
    const Status status = last_->begin();
    if (__builtin_expect(status != Status::kOk, 0)) detail::raise(status, last_->message());
    activation_ = last_;
    this_thread.current = this;
    return;
  }
  begin_anew();
}

void Transaction::begin_anew() {
  if (current_memory_) {
    const Memory memory = Memory::current();
    if (memory) {
      core_ = memory.core_->shared_from_this();
      realm_ = memory.realm_;
    } else {
      detail::raise(Status::kDetached, "no stable memory is open: Memory::open comes first");
    }
  }
  if (core_ == nullptr) detail::raise(Status::kDetached, "the transaction's memory was closed");
  Activation* activation = nullptr;
  std::string why;
  Status status = ThreadActivations::mine().take(core_, &activation, &why);
  if (status != Status::kOk) detail::raise(status, why);
  if (__builtin_expect(activation->wants_descriptor(descriptor_), 0)) {
    status = activation->use_descriptor(descriptor_);
  }
  if (__builtin_expect(realm_ != 0, 0)) demand_realm(core_->physical, realm_);
  activation->set_realm(realm_);
  if (status == Status::kOk) status = activation->begin();
  if (__builtin_expect(status != Status::kOk, 0)) detail::raise(status, activation->message());
  activation_ = activation;
  thread_ = this_thread.number;
  this_thread.current = this;
  // The current memory may be another one at the next Begin.
  last_ = current_memory_ ? nullptr : activation;
}

void Transaction::ended() noexcept {
  activation_ = nullptr;
  if (this_thread.current == this) this_thread.current = nullptr;
}

void Transaction::demand_current() const {
  if (__builtin_expect(activation_ == nullptr, 0)) {
    detail::raise(Status::kNotActive, "the transaction is not active: Begin comes first, and "
                                      "Commit or Abort ends it");
  }
  if (__builtin_expect(this_thread.number != thread_, 0)) {
    detail::raise(Status::kWrongThread, "a transaction is used by the thread that began it");
  }
}

// A violation has aborted the transaction (Activation::fail): the handle is told.
void Transaction::check(Status status) {
  if (__builtin_expect(status != Status::kOk, 0)) refused(status);
}

void Transaction::refused(Status status) {
  const std::string why = activation_->message();
  if (!activation_->active()) ended();
  detail::raise(status, why);
}

void Transaction::Commit() {
  if (__builtin_expect(activation_ == nullptr || this_thread.number != thread_, 0)) {
    demand_current();
  }
  check(activation_->commit());
  ended();
}

void Transaction::Abort() {
  demand_current();
  check(activation_->abort());
  ended();
}

void* Transaction::allocate(uint64_t size_bytes, uint32_t type) {
  demand_current();
  uint64_t address = 0;
  check(activation_->allocate(size_bytes, ObjectKind::kUser, type, &address));
  return core_->physical.view() + address;
}

void Transaction::free(void* object) {
  demand_current();
  check(activation_->free(offset_in(*core_, object)));
}

void Transaction::read(const void* object, uint64_t offset, void* to, uint64_t size_bytes) {
  demand_current();
  check(activation_->read(offset_in(*core_, object), offset, to, size_bytes));
}

void Transaction::write(void* object, uint64_t offset, const void* from, uint64_t size_bytes) {
  demand_current();
  check(activation_->write(offset_in(*core_, object), offset, from, size_bytes));
}

uint64_t Transaction::size_of(const void* object) {
  demand_current();
  uint64_t size_bytes = 0;
  uint16_t life = 0;
  check(activation_->describe(offset_in(*core_, object), &size_bytes, &life));
  return size_bytes;
}

uint64_t Transaction::raw_root(const std::string& name) {
  demand_current();
  uint64_t reference = 0;
  check(read_root(*activation_, name, &reference, realm_));
  return reference;
}

void Transaction::set_raw_root(const std::string& name, uint64_t reference) {
  demand_current();
  if (name.empty() || name.size() > kLongestRootName) {
    detail::raise(Status::kTooLarge, "the name of a root has 1 to 47 bytes");
  }
  check(write_root(*activation_, name, reference, realm_));
}

Transaction* Transaction::current() {
  Transaction* transaction = this_thread.current;
  return transaction != nullptr && transaction->active() ? transaction : nullptr;
}

// --- Stable ---

void* Stable::operator new(std::size_t size_bytes) { return detail::allocate(size_bytes, 0); }
void Stable::operator delete(void* object) noexcept(false) {
  if (object != nullptr) detail::destroy(object);
}
void Stable::Open() { detail::open(this, true, 0, nullptr); }
void Stable::Open(uint64_t wait_us) { detail::open(this, true, wait_us, nullptr); }
void Stable::Close() { detail::close(this); }

// --- what guards and references are made of ---

namespace detail {

void raise(Status status, const std::string& sentence) { throw Failure(status, sentence); }

void* allocate(std::size_t size_bytes, uint32_t type) {
  return demand_transaction("an object can't be made").allocate(size_bytes, type);
}

void destroy(void* object) { demand_transaction("an object can't be freed").free(object); }

void open(void* object, bool for_change, uint64_t wait_us, const uint16_t* life) {
  Transaction& transaction = demand_transaction("an object can't be opened");
  transaction.check(transaction.activation_->open(
      offset_in(*transaction.core_, object), for_change ? OpenFor::kChanging : OpenFor::kReading,
      Wait::up_to_us(wait_us), life));
}

void close(void* object) {
  Transaction& transaction = demand_transaction("an object can't be closed");
  transaction.check(transaction.activation_->close(offset_in(*transaction.core_, object)));
}

void close_quietly(void* object) noexcept {
  Transaction* transaction = Transaction::current();
  if (transaction == nullptr) return;  // ended: everything is closed
  const uint64_t address = offset_in(*transaction->core_, object);
  if (transaction->activation_->is_open(address)) {
    static_cast<void>(transaction->activation_->close(address));
  }
}

void demand_open(const void* object, bool for_change) {
  Transaction& transaction = demand_transaction("an object can't be used");
  transaction.check(transaction.activation_->demand_open(
      offset_in(*transaction.core_, object),
      for_change ? OpenFor::kChanging : OpenFor::kReading));
}

void* object_at(uint64_t address) {
  if (const Transaction* transaction = Transaction::current(); transaction != nullptr) {
    return transaction->core_->physical.view() + address;
  }
  const Memory memory = Memory::current();
  if (!memory) raise(Status::kDetached, "no stable memory is open to follow a reference in");
  return memory.at_address(address);
}

uint64_t packed_reference(const void* object) {
  Transaction& transaction = demand_transaction("a reference can't be made");
  const uint64_t address = offset_in(*transaction.core_, object);
  uint64_t size_bytes = 0;
  uint16_t life = 0;
  transaction.check(transaction.activation_->describe(address, &size_bytes, &life));
  return address | static_cast<uint64_t>(life) << 48;
}

bool show_again(Transaction& transaction, uint64_t address, bool writing) {
  return transaction.activation_->show_again(address, writing);
}

void abort_quietly(Transaction& transaction) {
  static_cast<void>(transaction.activation_->abort());
  transaction.ended();
}

bool faults(const Memory& memory) { return memory.mode() == Mode::kWindow; }

void back_off(int attempt) {
  if (attempt < 4) {
    sched_yield();
    return;
  }
  const timespec pause = {0, std::min(attempt, 100) * 10'000L};
  nanosleep(&pause, nullptr);
}

}  // namespace detail
}  // namespace auxin::stm
