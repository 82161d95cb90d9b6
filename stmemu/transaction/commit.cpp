// SPDX-License-Identifier: Apache-2.0
//
// The two-phase commit between the banks (activation.h has the idea), and its undoing.
#include "stmemu/memory/judgement.h"
#include "stmemu/transaction/hot_path.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {

// Into the banks as they are stored into.
template <typename AnyBanks>
AUXIN_HOT void Activation::commit_into(AnyBanks banks) {
  for (Touched& touched : touched_) {
    if (!touched.changes) continue;
    ObjectHeader& header = touched.becomes;
    header.version += 1;
    if (__builtin_expect(touched.freed, 0)) {
      header.describe(0, ObjectKind::kUser, ObjectState::kFree);
    }
    header.checksum = header_hash(touched.where, header);
    if (__builtin_expect(contents_count(header), 1)) {
      header.checksum = hash_in_line(banks.a.at(touched.spot.contents),
                                     whole_words(header.size_bytes()), header.checksum);
    }
    store_header(banks.a, touched.spot, header);
  }
  banks.fence();
  store_both(banks, descriptor_,
             pack_state(memory_.seed(), descriptor_, {serial_, Phase::kCommitted}));
  banks.fence();
  for (const Touched& touched : touched_) {
    if (touched.changes) copy_object(banks.a, banks.b, touched.spot, touched.becomes);
  }
  banks.fence();
  ++serial_;
  store_both(banks, descriptor_,
             pack_state(memory_.seed(), descriptor_, {serial_, Phase::kIdleAfterCommit}));
  banks.fence();
}

Status Activation::commit() {
  if (__builtin_expect(!active_, 0)) return not_active();
  if (__builtin_expect(remote_ != nullptr, 0)) return commit_remotely();
  hide_all();
  if (intents_ > 0) {
    if (__builtin_expect(direct_, 1)) {
      commit_into(memory_.banks().directly());
    } else {
      commit_into<Banks&>(memory_.banks());
    }
    if (__builtin_expect(frees_, 0)) settle_freed();
  }
  if (__builtin_expect(reclaims_realms_, 0)) {
    static_cast<void>(allocator_.reclaim(activity_ | kClaimOnly));
  }
  end();
  return Status::kOk;
}

void Activation::settle_freed() {
  for (Touched& touched : touched_) {
    if (!touched.freed) continue;
    if (touched.size_class == kLargeClass) {
      dissolve_large(touched);
    } else {
      memory_.board().frees[touched.size_class].fetch_add(1, std::memory_order_relaxed);
    }
  }
}

// Bank A becomes again what B is. Returns what was lost, or nothing.
std::string Activation::undo() {
  std::string damage;
  Banks& banks = memory_.banks();
  for (const Touched& touched : touched_) {
    if (!touched.changes) continue;
    Place place;
    ObjectHeader before;
    if (locate_header(memory_, touched.spot.header, &place) &&
        good_copy(memory_, banks.b, place, &before)) {
      copy_object(banks.b, banks.a, place, before);
    } else {
      damage = name_of_object(touched.spot, &touched.becomes) +
               ": what it held before the transaction is damaged";
      memory_.board().statistics.losses.fetch_add(1, std::memory_order_relaxed);
    }
  }
  banks.fence();
  store_state(memory_, descriptor_, {++serial_, Phase::kIdle});
  banks.fence();
  return damage;
}

Status Activation::abort() {
  if (!active_) return not_active();
  hide_all();
  const std::string damage = intents_ > 0 && remote_ == nullptr ? undo() : std::string();
  for (Touched& touched : touched_) {
    if (touched.allocated && touched.size_class == kLargeClass && remote_ == nullptr) {
      dissolve_large(touched);
    }
  }
  end();
  return damage.empty() ? Status::kOk : fail(Status::kDamaged, damage);
}

// While this transaction still owns the object, so that nobody else can be in its run.
void Activation::dissolve_large(Touched& touched) {
  touched.dissolved = true;
  PageTable(memory_).dissolve_run(touched.spot.header / kPageBytes);
}

}  // namespace auxin::stm
