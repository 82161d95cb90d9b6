// SPDX-License-Identifier: Apache-2.0
//
// Opening and closing: the object at an address becomes a transaction's own. Claimed first, so that
// nobody changes it; then judged, both copies; then, if it is to be changed, named in the
// descriptor.
#include <algorithm>

#include "stmemu/memory/judgement.h"
#include "stmemu/transaction/hot_path.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {
namespace {

constexpr uint64_t kCacheLineBytes = 64;
constexpr uint64_t kPrefetchBytes = 1024;  // of an object's contents, when it is opened

// All that will be read comes at once, not one after the other; bank B, which is read last, into
// the second-level cache only: the first can wait for few lines at a time.
template <typename AnyBanks>
AUXIN_HOT void fetch_ahead(const AnyBanks& banks, const Place& place) {
  __builtin_prefetch(banks.a.at(place.header));
  __builtin_prefetch(banks.b.at(place.header), 1);
  const char* const a = banks.a.at(place.contents);
  const char* const b = banks.b.at(place.contents);
  const uint64_t ahead = std::min(place.capacity, kPrefetchBytes);
  for (uint64_t at = 0; at < ahead; at += kCacheLineBytes) {
    __builtin_prefetch(a + at, 1);
    __builtin_prefetch(b + at, 0, 1);
  }
}

}  // namespace

Status Activation::fail_claim(Status status, uint64_t address) {
  return fail_at(status, address,
                 status == Status::kDeadlock
                     ? "waiting for it would never end: its owner waits for this transaction"
                     : "open in another transaction; abort and try again");
}

// The run of the object at the end of the list was given back while it was being claimed, and
// perhaps made anew, which forgets claims: the word may be somebody else's by now.
Status Activation::fail_overtaken() {
  const Spot spot = touched_.back().spot;
  touched_.pop_back();
  uint64_t mine = activity_ | touched_.size();
  memory_.owner_word(spot.header).compare_exchange_strong(mine, 0, std::memory_order_acq_rel);
  return fail_at(Status::kFreed, spot.contents, "it was freed");
}

Status Activation::fail_lost() {
  const Spot spot = touched_.back().spot;
  touched_.pop_back();
  release_claim(spot.header);
  return fail(Status::kDamaged, name_of_object(spot, nullptr) + ": damaged in both banks");
}

// The object becomes this transaction's: claimed, judged, and in the list; or it was there already.
template <typename AnyBanks>
AUXIN_HOT Status Activation::touch(AnyBanks& banks, const Place& place, Wait wait,
                                   Touched** touched) {
  if (memory_.owner_word(place.header).load(std::memory_order_relaxed) != 0) {
    if (Touched* known = find(place.header); known != nullptr) {
      *touched = known;
      return Status::kOk;
    }
  }
  const size_t index = touched_.size();
  if (__builtin_expect(index >= kMaxObjects, 0)) {
    return fail(Status::kFull, "a transaction can have 16 million objects, not more");
  }
  const Status claimed = claim(place.header, index, wait);
  if (__builtin_expect(claimed != Status::kOk, 0)) return fail_claim(claimed, place.contents);
  Touched& object = add_to_list(place);
  *touched = &object;
  const PageInfo& info = memory_.page_info(place.contents / kPageBytes);
  if (__builtin_expect(
          info.generation.load(std::memory_order_acquire) != place.generation, 0)) {
    return fail_overtaken();
  }
  if (!kDirect<AnyBanks> && remote_ != nullptr) {
    return copy_into_view(place, &object.becomes) ? Status::kOk : fail_lost();
  }
  if (__builtin_expect(!both_are_good(banks, object.where, place, &object.becomes), 0) &&
      !mend(place, &object.becomes)) {
    return fail_lost();
  }
  return Status::kOk;
}

// (The place by value: where nothing needs mending, it need not be in memory.)
bool Activation::mend(Place place, ObjectHeader* header) {
  return mend_object(memory_, place, header) != Soundness::kLost;
}

// Why an object that is this transaction's can't be opened all the same.
Status Activation::refuse(const Touched& object, const uint16_t* life) {
  const uint64_t address = object.spot.contents;
  if (object.freed || !object.becomes.live()) {
    if (object.freed || object.becomes.version > 0) {
      return fail_at(Status::kFreed, address, "it was freed");
    }
    return fail_at(Status::kNotStable, address, "no object was ever made here");
  }
  if (life != nullptr && *life != object.becomes.life()) {
    return fail_at(Status::kFreed, address, "it was freed, and another one made here since");
  }
  return fail_at(Status::kForeign, address, "one of the memory's own objects");
}

template <typename AnyBanks>
AUXIN_HOT Status Activation::make_usable(AnyBanks& banks, Touched& object, OpenFor purpose,
                                         const uint16_t* life) {
  last_address_ = object.spot.contents;
  last_ = static_cast<size_t>(&object - touched_.data());
  const bool usable = object.becomes.live_users() || (system_ && object.becomes.live());
  if (__builtin_expect(object.freed || !usable ||
                           (life != nullptr && *life != object.becomes.life()), 0)) {
    return refuse(object, life);
  }
  if (purpose == OpenFor::kChanging && !object.changes) {
    const Status status = intend(banks, object, Intent::kChange);
    if (__builtin_expect(status != Status::kOk, 0)) return status;
  }
  object.open = true;
  if constexpr (!kDirect<AnyBanks>) show(object, purpose);
  return Status::kOk;
}

template <typename AnyBanks>
AUXIN_HOT Status Activation::open_in(AnyBanks banks, uint64_t address, OpenFor purpose, Wait wait,
                                     const uint16_t* life) {
  if (__builtin_expect(!active_, 0)) return not_active();
  Place place;
  if (__builtin_expect(!locate(memory_, address, &place) || place.use != PageUse::kObjects, 0)) {
    return fail_at(Status::kNotStable, address, "no stable object begins at this address");
  }
  if (__builtin_expect(place.realm != realm_ && !(system_ && place.realm == 0), 0)) {
    return fail_at(Status::kForeign, address, "it belongs to another stable memory object");
  }
  if (!kDirect<AnyBanks> && remote_ != nullptr) {
    foresee_remotely(place, purpose);
  } else {
    fetch_ahead(banks, place);
  }
  Touched* touched = nullptr;
  const Status status = touch(banks, place, wait, &touched);
  return __builtin_expect(status == Status::kOk, 1) ? make_usable(banks, *touched, purpose, life)
                                                    : status;
}

Status Activation::open(uint64_t address, OpenFor purpose, Wait wait, const uint16_t* life) {
  return __builtin_expect(direct_, 1)
             ? open_in(memory_.banks().directly(), address, purpose, wait, life)
             : open_in<Banks&>(memory_.banks(), address, purpose, wait, life);
}

Status Activation::open_to_free(const Place& place, Touched** touched) {
  Status status = touch(memory_.banks(), place, Wait::none(), touched);
  const bool was_system = system_;
  system_ = true;
  if (status == Status::kOk) {
    status = make_usable(memory_.banks(), **touched, OpenFor::kChanging, nullptr);
  }
  system_ = was_system;
  return status;
}

Status Activation::find_any(uint64_t address, Touched** touched) {
  Place place;
  if (!locate(memory_, address, &place)) {
    return fail_at(Status::kNotStable, address, "no stable object begins at this address");
  }
  *touched = find(place.header);
  return Status::kOk;
}

Status Activation::fail_not_open(uint64_t address, const char* verb, const char* why) {
  return fail_at(Status::kNotOpen, address, std::string(verb) + why);
}

Status Activation::close(uint64_t address) {
  Touched* touched = nullptr;
  const Status status = find_open(address, OpenFor::kReading, "closed", &touched);
  if (status != Status::kOk) return status;
  touched->open = false;
  hide(*touched);
  if (__builtin_expect(remote_ != nullptr, 0)) closed_remotely(*touched);
  return Status::kOk;
}

bool Activation::changes(uint64_t address, ObjectKind kind, uint32_t type) {
  Place place;
  if (!active_ || !locate(memory_, address, &place)) return false;
  const Touched* touched = find(place.header);
  return touched != nullptr && touched->changes && !touched->freed &&
         touched->becomes.kind() == kind && touched->becomes.type() == type;
}

void Activation::forget(uint64_t address) {
  Place place;
  if (!active_ || !locate(memory_, address, &place)) return;
  Touched* touched = find(place.header);
  if (touched == nullptr || touched->changes || place.use != PageUse::kObjects) return;
  hide(*touched);
  release_claim(place.header);
  if (touched != &touched_.back()) {
    // The last of the list takes its index. Others look at a word's activity only.
    *touched = touched_.back();
    memory_.owner_word(touched->spot.header)
        .store(activity_ | static_cast<uint64_t>(touched - touched_.data()),
               std::memory_order_release);
  }
  touched_.pop_back();
  last_address_ = 0;
}

}  // namespace auxin::stm
