// SPDX-License-Identifier: Apache-2.0
//
// A digest of all that a state knows of itself: what is named, what is staged and where, what the
// last message had, where the chain is. Noted when a call ends, compared when the next one begins,
// so bits that turn in between are found before they are used.
//
// Not in it: the contents of staged pages, and what a forked child writes, as long as it does.
#include "checkpoint/message/checksum.h"
#include "checkpoint/state/named_state.h"

namespace auxin::checkpoint {
namespace {

class Sum {
 public:
  void add(const void* bytes, uint64_t size_bytes) {
    add(checksum_of(bytes, size_bytes));
  }
  void add(uint64_t word) { sum_ = ((sum_ << 23 | sum_ >> 41) ^ word) * 0x9e3779b97f4a7c15u + 1; }
  uint64_t value() const { return sum_; }

 private:
  uint64_t sum_ = 0;
};

}  // namespace

uint64_t NamedState::digest_of_tables() const {
  Sum sum;
  const bool childs = forks() && captured_;
  for (const auto& [id, region] : regions_) {
    for (const uint64_t word : {id, region->id, region->address, region->size_bytes,
                                uint64_t{region->announced}, region->announced_bytes}) {
      sum.add(word);
    }
    if (childs) continue;
    sum.add(region->slots.data(), region->slots.count() * sizeof(Slot));
    if (region->digests.count() == 0) continue;
    sum.add(region->digests.data(), region->digests.count() * sizeof(PageDigest));
  }
  for (const auto& [id, index] : object_of_id_) {
    const ObjectMarks::Object& object = objects_[index];
    for (const uint64_t word : {id, object.id, object.address, object.size_bytes,
                                uint64_t{object.announced}, uint64_t{object.staged}}) {
      sum.add(word);
    }
    if (object.staged) sum.add(object.copy.data(), object.copy.size());
  }
  for (const uint64_t id : removed_) sum.add(id);
  tracker_.for_each_range(
      [](const TrackedRange& range, void* to) {
        Sum& all = *static_cast<Sum*>(to);
        for (const uint64_t word : {range.begin, range.end, uint64_t{range.fresh},
                                    uint64_t{range.dense}, uint64_t{range.executable}}) {
          all.add(word);
        }
      },
      &sum);
  for (const uint64_t word : {position_.state, position_.sequence, user_word_,
                              uint64_t{captured_}, uint64_t{whole_}, staging_.used()}) {
    sum.add(word);
  }
  return sum.value();
}

Outcome NamedState::check_tables() const {
  if (!options_.check_tables || calls_ > 1 || digest_of_tables() == tables_digest_) {
    return Outcome::ok();
  }
  return failure(AUXIN_CHECKPOINT_DAMAGED,
                 "the service's own tables of the state have changed in memory");
}

NamedState::Call::Call(NamedState& state) : state_(state) {
  ++state_.calls_;
  outcome = state_.check_tables();
}

NamedState::Call::~Call() {
  if (--state_.calls_ == 0 && outcome && state_.options_.check_tables) {
    state_.tables_digest_ = state_.digest_of_tables();
  }
}

}  // namespace auxin::checkpoint
