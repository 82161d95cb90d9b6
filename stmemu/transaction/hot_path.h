// SPDX-License-Identifier: Apache-2.0
//
// The few lines of an activation that opening and committing each compile into themselves.
#pragma once

#include <type_traits>

#include "stmemu/transaction/activation.h"
#include "stmemu/transaction/descriptor.h"

// Most of a transaction's time is instructions, and calls are many of them.
#define AUXIN_HOT [[gnu::always_inline]] inline

namespace auxin::stm {

inline constexpr uint64_t kMaxObjects = OwnerWord::kIndexMask;  // of one transaction
inline constexpr uint64_t kClaimOnly = OwnerWord::kIndexMask;   // an index of no object

// Whether stores go into the banks as they are written here: never so in the modes window and
// isolated, and not where tests look at each store.
template <typename AnyBanks>
inline constexpr bool kDirect = std::is_same_v<AnyBanks, DirectBanks>;

AUXIN_HOT void Activation::release_claim(uint64_t header) {
  memory_.owner_word(header).store(0, std::memory_order_release);
}

AUXIN_HOT Status Activation::claim(uint64_t header, size_t index, Wait wait) {
  uint64_t nobody = 0;
  if (__builtin_expect(memory_.owner_word(header).compare_exchange_strong(
                           nobody, activity_ | index, std::memory_order_acq_rel), 1)) {
    return Status::kOk;
  }
  return claim_of_other(header, index, wait);
}

AUXIN_HOT Activation::Touched& Activation::add_to_list(const Place& place) {
  Touched& object = touched_.emplace_back();
  // One by one: as a pair they would be stored, and the pair be read before the stores are done,
  // which waits for all stores of the last commit.
  uint64_t header = place.header;
  asm("" : "+r"(header));
  object.spot.header = header;
  object.spot.contents = place.contents;
  object.where = place_hash(memory_.seed(), place.generation, place.header);
  object.size_class = place.size_class;
  return object;
}

AUXIN_HOT Activation::Touched* Activation::find(uint64_t header) {
  const uint64_t word = memory_.owner_word(header).load(std::memory_order_relaxed);
  if (OwnerWord::activity_of(word) != activity_) return nullptr;
  const uint32_t index = OwnerWord::index_of(word);
  return index < touched_.size() && touched_[index].spot.header == header ? &touched_[index]
                                                                          : nullptr;
}

// Names the object in the descriptor, before the first store to it.
template <typename AnyBanks>
AUXIN_HOT Status Activation::intend(AnyBanks& banks, Touched& touched, Intent::Deed deed) {
  if (!kDirect<AnyBanks> && remote_ != nullptr) {  // nothing is stored before the commit
    ++intents_;
    touched.changes = true;
    return Status::kOk;
  }
  // The last word of a list that is full names the block in which it goes on.
  if (__builtin_expect(intents_ + 1 == intents_room_, 0)) {
    const Status status = add_block();
    if (status != Status::kOk) return status;
  }
  const uint64_t where = intent_offset(descriptor_, blocks_, intents_);
  store_intent(banks, memory_.seed(), where, serial_, {touched.spot.header, deed});
  banks.fence();
  ++intents_;
  touched.changes = true;
  return Status::kOk;
}

// The object at `address`, if it is open for that.
AUXIN_HOT Status Activation::find_open(uint64_t address, OpenFor purpose, const char* verb,
                                       Touched** touched) {
  if (__builtin_expect(!active_, 0)) return not_active();
  if (__builtin_expect(address == last_address_ && address != 0, 1)) {
    *touched = &touched_[last_];
  } else if (const Status status = find_any(address, touched); status != Status::kOk) {
    return status;
  }
  if (__builtin_expect(*touched == nullptr || !(*touched)->open, 0)) {
    return fail_not_open(address, verb, " while it is not open in this transaction");
  }
  if (__builtin_expect(purpose == OpenFor::kChanging && !(*touched)->changes, 0)) {
    return fail_not_open(address, verb, " while it is open for reading only");
  }
  return Status::kOk;
}

// Everything that was claimed is void once `active` is no longer this activity; the words are
// cleared first, so that the next one needs not look here.
AUXIN_HOT void Activation::end() {
  for (const Touched& touched : touched_) {
    if (__builtin_expect(!touched.dissolved && !touched.adopted, 1)) {
      release_claim(touched.spot.header);
    }
  }
  touched_.clear();
  last_address_ = 0;
  Context& mine = context();
  mine.active.store(0, std::memory_order_release);
  active_ = false;
  // Whoever begins to wait just now looks again soon (claims.cpp).
  if (__builtin_expect(mine.waiters.load(std::memory_order_relaxed) != 0, 0)) wake_waiters();
  if (__builtin_expect(signals_ != 0, 0)) raise_signals();
  reclaims_realms_ = false;
}

}  // namespace auxin::stm
