// SPDX-License-Identifier: Apache-2.0
//
// What an isolated client's transaction does differently: an open object is a copy in the view, and
// the commit is a request to the controller.
#include <string.h>

#include <algorithm>

#include "stmemu/isolated/connection.h"
#include "stmemu/isolated/judged_ahead.h"
#include "stmemu/transaction/hot_path.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {

namespace {

void hint(Channel& channel, uint64_t what) {
  const uint64_t count = channel.hints.count.load(std::memory_order_relaxed);
  channel.hints.last[count % kHints].store(what, std::memory_order_relaxed);
  channel.hints.count.store(count + 1, std::memory_order_release);
}

// Whether the view still holds what is committed: bank A's header vouches for it. Then no other
// line of the banks is read, which the controller has written; it judges both at the commit.
bool is_in_view(const PhysicalMemory& memory, const Place& place, ObjectHeader* header) {
  memcpy(header, memory.banks().a.at(place.header), sizeof(*header));
  if (header->state() != ObjectState::kFree && header->state() != ObjectState::kLive) return false;
  return header->size_bytes() <= place.capacity &&
         header->checksum == object_checksum(memory.seed(), place.generation, place.header, *header,
                                             memory.view() + place.contents);
}

}  // namespace

void Activation::foresee_remotely(const Place& place, OpenFor purpose) {
  __builtin_prefetch(memory_.banks().a.at(place.header));
  const char* const view = memory_.view() + place.contents;
  const uint64_t ahead = std::min(place.capacity, kFetchedBytes);
  for (uint64_t at = 0; at < ahead; at += kLineBytes) __builtin_prefetch(view + at, 1);
  hints_ = purpose == OpenFor::kChanging && place.capacity >= kHintedBytes;
}

void Activation::closed_remotely(const Touched& touched) {
  if (touched.changes && touched.becomes.size_bytes() >= kHintedBytes) {
    hint(*channel_, touched.spot.header | kWritten);
  }
}

// The object is this transaction's by its claim, so nobody changes it meanwhile.
bool Activation::copy_into_view(const Place& place, ObjectHeader* header) {
  if (hints_) hint(*channel_, place.header);
  hints_ = false;
  if (__builtin_expect(is_in_view(memory_, place, header), 1)) return true;
  const Banks& banks = memory_.banks();
  const auto is_sound = [&] { return copies_are_sound(memory_, place, header); };
  if (__builtin_expect(!is_sound(), 0)) {
    channel_->first = {place.header, 0, 0, 0};
    channel_->activity = activity_;
    if (remote_->ask(*channel_, Request::kMend) != Status::kOk || !is_sound()) return false;
  }
  if (contents_count(*header)) {
    memcpy(memory_.view() + place.contents, banks.a.at(place.contents),
           whole_words(header->size_bytes()));
  }
  return true;
}

Status Activation::commit_remotely() {
  Status status = Status::kOk;
  if (intents_ > 0) {
    uint64_t count = 0;
    channel_->changes_before = 0;
    channel_->activity = activity_;
    if (channel_->descriptor != descriptor_) channel_->descriptor = descriptor_;
    channel_->serial = serial_;
    for (Touched& touched : touched_) {
      if (!touched.changes) continue;
      if (touched.freed && touched.allocated) continue;  // nothing has changed
      if (touched.freed) touched.becomes.describe(0, ObjectKind::kUser, ObjectState::kFree);
      if (count == kMostChanges) {
        channel_->changes = static_cast<uint16_t>(count);
        status = remote_->ask(*channel_, Request::kMore);
        if (status != Status::kOk) break;
        channel_->changes_before += static_cast<uint32_t>(count);
        count = 0;
      }
      Change& change = count == 0 ? channel_->first : channel_->rest[count - 1];
      change = {touched.spot.header, touched.becomes.version, touched.becomes.size_and_kind,
                touched.becomes.type_and_life};
      ++count;
    }
    if (status == Status::kOk && count > 0) {
      channel_->changes = static_cast<uint16_t>(count);
      uint64_t serial = 0;
      status = remote_->ask(*channel_, Request::kCommit, &serial);
      if (status == Status::kOk) serial_ = serial;
    }
  }
  for (Touched& touched : touched_) {
    // The controller has given its run back.
    touched.dissolved = status == Status::kOk && touched.freed && !touched.allocated &&
                        touched.size_class == kLargeClass;
  }
  if (status == Status::kOk && reclaims_realms_) static_cast<void>(allocator_.reclaim(activity_));
  end();
  if (status == Status::kOk) return status;
  // What was tried has moved the serial on, or not; the next commit begins where it is.
  DescriptorState state;
  if (read_state(memory_, descriptor_, &state)) serial_ = state.serial;
  return fail(status, status == Status::kUnreachable
                          ? "no controller answers: whether the transaction was committed is not "
                            "known"
                          : "the controller refuses the commit: an object is not as this "
                            "transaction saw it");
}

}  // namespace auxin::stm
