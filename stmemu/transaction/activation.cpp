// SPDX-License-Identifier: Apache-2.0
#include "stmemu/transaction/hot_path.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stmemu/check.h"
#include "stmemu/isolated/connection.h"
#include "stmemu/transaction/contexts.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {
namespace {

void wake_all(std::atomic<uint32_t>& word) {
  const int error = errno;
  syscall(SYS_futex, &word, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
  errno = error;
}

std::string hexadecimal(uint64_t number) {
  char text[24];
  snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(number));
  return text;
}

}  // namespace

// --- life ---

Status Activation::make(PhysicalMemory& memory, std::unique_ptr<Activation>* made) {
  const uint32_t index = take_context(memory);
  if (index == kContexts) return Status::kBusy;
  made->reset(new Activation(memory, index));
  Activation& activation = **made;
  if (activation.remote_ != nullptr) {
    const Status opened = activation.remote_->take_channel(index, &activation.channel_);
    if (opened != Status::kOk) {
      activation.channel_ = nullptr;
      made->reset();
      return opened;
    }
    activation.allocator_.ask(activation.remote_, activation.channel_);
    activation.own_descriptor_ = activation.channel_->descriptor;
    return activation.use_descriptor(0);
  }
  activation.own_descriptor_ = activation.context().own_descriptor.load(std::memory_order_acquire);
  Status status = Status::kOk;
  if (activation.own_descriptor_ == 0) status = activation.make_own_descriptor();
  if (status == Status::kOk) status = activation.use_descriptor(0);
  if (status != Status::kOk) made->reset();
  return status;
}

Activation::~Activation() {
  if (active_) static_cast<void>(abort());
  if (channel_ != nullptr) remote_->give_back(channel_);
  give_context_back(memory_, context_);
}

// A descriptor is made in a transaction (paper 001, §2.2.2), and the first one in the transaction
// of the descriptor that the memory was made with.
Status Activation::make_own_descriptor() {
  Findings findings;
  recover_boot_descriptor(memory_, &findings);
  uint64_t address = 0;
  descriptor_ = kBootDescriptorOffset;
  DescriptorState state;
  CHECK(read_state(memory_, descriptor_, &state), "the boot descriptor was recovered");
  serial_ = state.serial;
  Status status = begin();
  if (status == Status::kOk) {
    status = allocate(kDescriptorBytes, ObjectKind::kDescriptor, kOwnDescriptorType, &address);
  }
  if (status == Status::kOk) {
    status = commit();
  } else if (active_) {
    static_cast<void>(abort());
  }
  context().descriptor.store(0, std::memory_order_release);
  memory_.board().boot_lock.unlock(plain_mutex_calls());
  if (status != Status::kOk) return status;
  own_descriptor_ = address;
  context().own_descriptor.store(address, std::memory_order_release);
  return Status::kOk;
}

Status Activation::use_descriptor(uint64_t descriptor) {
  CHECK(!active_, "a descriptor is changed between transactions");
  Place place;
  if (descriptor != 0 &&
      (!locate(memory_, descriptor, &place) || place.use != PageUse::kDescriptors)) {
    return fail_at(Status::kNotStable, descriptor, "no transaction descriptor");
  }
  descriptor_ = descriptor != 0 ? descriptor : own_descriptor_;
  DescriptorState state;
  if (!read_state(memory_, descriptor_, &state)) {
    return fail(Status::kDamaged, "transaction descriptor " + hexadecimal(descriptor_) +
                                      " is damaged in both banks");
  }
  serial_ = state.serial;
  take_blocks(read_blocks(memory_, descriptor_));
  return Status::kOk;
}

// --- messages and violations ---

Status Activation::fail(Status status, const std::string& why) {
  message_ = why;
  if (is_violation(status) && !quiet_) {
    memory_.board().statistics.violations.fetch_add(1, std::memory_order_relaxed);
    if (policy_ == Policy::kHalt) {
      const std::string line = "auxin: stable memory: access violation, halted: " + why + "\n";
      [[maybe_unused]] const ssize_t written = ::write(2, line.data(), line.size());
      ::abort();
    }
    if (active_) static_cast<void>(abort());
    message_ = why + "; the transaction is aborted";
  }
  return status;
}

Status Activation::fail_at(Status status, uint64_t address, const std::string& why) {
  return fail(status, "object " + hexadecimal(address) + ": " + why);
}

Status Activation::not_active() {
  return fail(Status::kNotActive, "the transaction is not active: begin comes first, and commit or "
                                  "abort ends it");
}

// --- begin, end ---

Status Activation::begin() {
  if (__builtin_expect(active_, 0)) {
    return fail(Status::kNested, "the transaction has begun already");
  }
  Context& mine = context();
  const uint64_t activation = mine.activations.load(std::memory_order_relaxed) + 1;
  mine.activations.store(activation, std::memory_order_relaxed);
  activity_ = OwnerWord::activity(context_, activation);
  // (An isolated client's death leaves nothing in the banks, so there is nothing to recover.)
  mine.descriptor.store(remote_ == nullptr ? descriptor_ : 0, std::memory_order_relaxed);
  // Set before anything is claimed, cleared after everything is done: a death in between is seen.
  mine.active.store(activity_, std::memory_order_release);
  active_ = true;
  intents_ = 0;
  frees_ = false;
  // … and before this is read: whoever takes the memory away looks here after closing it.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const uint64_t node = memory_.board().node.holder.load(std::memory_order_acquire);
  if (__builtin_expect(!HolderWord::admits(node, mine.pid.load(std::memory_order_relaxed)), 0) &&
      !carrying_) {
    return refuse_on_standby(node);
  }
  if (__builtin_expect(descriptor_ == own_descriptor_, 1) ||
      descriptor_ == kBootDescriptorOffset || carrying_) {
    return Status::kOk;
  }
  return begin_on_programs_descriptor();
}

Status Activation::refuse_on_standby(uint64_t holder) {
  end();
  return fail(Status::kStandby, why_standby(holder));
}

// A descriptor of the program's own runs one transaction at a time: this one claims it.
Status Activation::begin_on_programs_descriptor() {
  Place place;
  ObjectHeader header;
  Status status = locate(memory_, descriptor_, &place) && place.use == PageUse::kDescriptors
                      ? claim(place.header, touched_.size(), Wait::none())
                      : Status::kNotStable;
  if (status == Status::kOk &&
      (sound_object(memory_, place, &header) == Soundness::kLost || !header.live() ||
       header.kind() != ObjectKind::kDescriptor || header.type() == kOwnDescriptorType)) {
    status = Status::kFreed;
  }
  if (status == Status::kOk) {
    add_to_list(place).becomes = header;
    DescriptorState state;
    if (read_state(memory_, descriptor_, &state)) {
      serial_ = state.serial;
      take_blocks(read_blocks(memory_, descriptor_));
      return Status::kOk;
    }
    status = Status::kDamaged;
  }
  end();
  return fail(status, status == Status::kConflict
                          ? "the transaction's descriptor is active elsewhere"
                          : "the transaction's descriptor is not one, or is no more");
}

void Activation::wake_waiters() {
  Context& mine = context();
  mine.releases.fetch_add(1, std::memory_order_release);
  wake_all(mine.releases);
}

void Activation::raise_signals() {
  for (uint32_t index = 0; index < kSignals; ++index) {
    if ((signals_ >> index & 1) == 0) continue;
    Signal& signal = memory_.board().signals[index];
    signal.raised.fetch_add(1, std::memory_order_seq_cst);
    if (signal.waiters.load(std::memory_order_seq_cst) != 0) wake_all(signal.raised);
  }
  signals_ = 0;
}

bool Activation::reclaim_empty_runs() {
  if (begin() != Status::kOk) return false;
  const bool reclaimed = allocator_.reclaim(activity_ | kClaimOnly);
  end();
  return reclaimed;
}

}  // namespace auxin::stm
