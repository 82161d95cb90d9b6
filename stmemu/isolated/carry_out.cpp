// SPDX-License-Identifier: Apache-2.0
//
// A commit that the controller carries out for an isolated client: Activation's own commit, with
// objects under the client's claims and contents from its view. Nothing is believed that can be
// looked up; what is not as the client says makes it a conflict, before anything is stored.
#include <algorithm>

#include "stmemu/isolated/channel.h"
#include "stmemu/transaction/hot_path.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {
namespace {

constexpr uint64_t kFetchedFirst = 2;  // changes, before the first is looked at
constexpr uint64_t kSizeMask = (uint64_t{1} << 48) - 1;

// Begins to fetch what a change will need; from any address.
void fetch_ahead(const PhysicalMemory& memory, const Change& change, const char* view) {
  Place place;
  if (!locate_header(memory, change.header, &place)) return;
  __builtin_prefetch(&memory.owner_word(place.header));
  const uint64_t size = std::min({change.size_and_kind & kSizeMask, place.capacity, kFetchedBytes});
  for (uint64_t at = 0; at < size; at += kLineBytes) {
    __builtin_prefetch(view + place.contents + at);
  }
  JudgedAhead::fetch(memory, place, size);
}

// Whether an object may go from `before` to what the change says.
bool is_allowed(const ObjectHeader& before, const ObjectHeader& after, const Place& place) {
  if (after.state() != ObjectState::kFree && after.state() != ObjectState::kLive) return false;
  if (!before.live()) {  // made
    const bool descriptor = after.kind() == ObjectKind::kDescriptor;
    return after.live() && after.kind() != ObjectKind::kIntents && after.size_bytes() > 0 &&
           after.size_bytes() <= place.capacity &&
           descriptor == (place.use == PageUse::kDescriptors) &&
           (!descriptor || after.size_bytes() == kDescriptorBytes);
  }
  return !after.live() || (after.size_and_kind == before.size_and_kind &&
                           after.type_and_life == before.type_and_life);
}

}  // namespace

Status Activation::adopt(const Change& change, const ForeignTransaction& transaction,
                         JudgedAhead* ahead) {
  Place place;
  if (!locate_header(memory_, change.header, &place)) return Status::kConflict;
  const uint64_t owner = memory_.owner_word(place.header).load(std::memory_order_acquire);
  if (OwnerWord::activity_of(owner) != transaction.activity) return Status::kConflict;
  ObjectHeader header, after;
  if (!ahead->takes(memory_, place, transaction.judged, &header) &&
      sound_object(memory_, place, &header) == Soundness::kLost) {
    return Status::kDamaged;
  }
  after.version = header.version;
  after.size_and_kind = change.size_and_kind;
  after.type_and_life = change.type_and_life;
  if (header.version != change.version || !is_allowed(header, after, place)) {
    return Status::kConflict;
  }
  Touched& touched = add_to_list(place);
  touched.becomes = after;
  touched.freed = header.live() && !after.live();
  frees_ |= touched.freed;
  touched.allocated = !header.live();
  touched.adopted = true;
  return Status::kOk;
}

Status Activation::carry_out(const ForeignTransaction& transaction, const Change* changes,
                             uint64_t count, const char* view, JudgedAhead* ahead,
                             uint64_t* serial) {
  // All that the client has written last comes at once, not one after the other.
  const uint32_t context = OwnerWord::context_of(transaction.activity);
  if (context < kContexts) __builtin_prefetch(&memory_.board().contexts[context].active);
  for (uint64_t index = 0; index < std::min(count, kFetchedFirst); ++index) {
    fetch_ahead(memory_, changes[index], view);
  }
  ObjectHeader of_descriptor;
  if (!is_live_descriptor(memory_, transaction.descriptor, &of_descriptor)) {
    return Status::kRefused;
  }
  DescriptorState state;
  if (!read_state(memory_, transaction.descriptor, &state)) return Status::kDamaged;
  *serial = state.serial;
  // Controllers that died in it before it was certain have each moved the serial on; a commit that
  // the client does not know of can only be this one.
  if (state.serial > transaction.serial && state.phase == Phase::kIdleAfterCommit) {
    return Status::kOk;  // another controller carried it out, and died before it could say so
  }
  if (count == 0) return Status::kConflict;
  if (context >= kContexts || memory_.board().contexts[context].active.load(
                                  std::memory_order_acquire) != transaction.activity) {
    return Status::kConflict;
  }
  Status status = wants_descriptor(transaction.descriptor)
                      ? use_descriptor(transaction.descriptor)
                      : Status::kOk;
  if (status != Status::kOk) return status;
  serial_ = state.serial;
  status = begin();
  for (uint64_t index = 0; index < count && status == Status::kOk; ++index) {
    if (index + kFetchedFirst < count) {
      fetch_ahead(memory_, changes[index + kFetchedFirst], view);
    }
    status = adopt(changes[index], transaction, ahead);
  }
  for (size_t index = 0; index < touched_.size() && status == Status::kOk; ++index) {
    Touched& touched = touched_[index];
    status = intend(memory_.banks(), touched, touched.allocated ? Intent::kAllocate
                             : touched.freed   ? Intent::kFree
                                               : Intent::kChange);
  }
  if (status == Status::kOk) {
    for (const Touched& touched : touched_) {
      if (touched.freed) continue;
      if (touched.becomes.kind() == ObjectKind::kDescriptor) {
        if (touched.allocated) format_descriptor(memory_, touched.spot.contents);
        continue;
      }
      memory_.banks().a.store(touched.spot.contents, view + touched.spot.contents,
                              whole_words(touched.becomes.size_bytes()));
    }
    status = commit();
    *serial = serial_;
  } else if (active_) {
    static_cast<void>(abort());
  }
  return status;
}

}  // namespace auxin::stm
