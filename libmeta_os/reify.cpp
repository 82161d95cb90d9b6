// SPDX-License-Identifier: Apache-2.0
//
// Classification of synchronisation objects: asked once per object, remembered in the object, or
// (where there is no room) per call site in a direct-mapped table if the verdict says that it
// follows from the call site alone.
#include "libmeta_os/reify.h"

#include <errno.h>

#include <atomic>

#include "libmeta_os/modules.h"

namespace auxin::os {
namespace {

// One remembered verdict: address (47 bits) << 16 | selected << 8 | site class. 0: empty.
constexpr size_t kSiteTableSize = 1024;
constexpr uint64_t kSiteSelected = 1u << 8;
constinit std::atomic<uint64_t> site_table[kSiteTableSize] = {};

uint64_t tag_of(const Classification::Verdict& verdict) {
  return kTagMagic | (verdict.contention_point ? kTagContentionPoint : 0) |
         (static_cast<uint64_t>(verdict.site_class & 0xFF) << kTagClassShift);
}

// `classification` is set and the thread is not at the meta level.
Classification::Verdict classify(CallSite site) {
  const MetaLevel meta;
  const int saved_errno = errno;
  // Code of a module that was loaded since: its name must be known before the question is put.
  if (module_of(site.address) == nullptr &&
      modules_added() != modules_added_at_snapshot()) {
    refresh_modules();
  }
  const Classification::Verdict verdict = classification->synchronisation_object(site);
  errno = saved_errno;
  return verdict;
}

Classification::Verdict classify_site(CallSite site) {
  const auto address = reinterpret_cast<uint64_t>(site.address);
  std::atomic<uint64_t>& entry = site_table[(address ^ (address >> 12)) % kSiteTableSize];
  const uint64_t known = entry.load(std::memory_order_relaxed);
  if (known >> 16 == address) {
    return {(known & kSiteSelected) != 0, static_cast<uint16_t>(known & 0xFF), true};
  }
  const Classification::Verdict verdict = classify(site);
  if (verdict.by_site_alone) {
    entry.store(address << 16 | (verdict.contention_point ? kSiteSelected : 0) |
                    (verdict.site_class & 0xFF),
                std::memory_order_relaxed);
  }
  return verdict;
}

bool count_and_decide(unsigned site_class, bool selected) {
  CounterShard& mine = shard();
  ++mine.rows[site_class].total;
  if (!selected || facets.synchronisation == nullptr) return false;
  count_intercepted(mine, site_class);
  return true;
}

bool count_unclassified() { return count_and_decide(0, false); }

// `word`: the object's tag word; the object may be tagged.
bool tagged_object_reified(std::atomic_ref<uint64_t> word, bool first, CallSite site) {
  uint64_t tag = word.load(std::memory_order_relaxed);
  if (!tag_valid(tag)) {
    if (!first || classification == nullptr) return count_unclassified();
    const uint64_t verdict = tag_of(classify(site));
    // Whoever is first decides; both had the same question to answer.
    if (word.compare_exchange_strong(tag, verdict, std::memory_order_relaxed)) tag = verdict;
    if (!tag_valid(tag)) return count_unclassified();
  }
  return count_and_decide(tag_class(tag), tag_selected(tag));
}

}  // namespace

bool mutex_reified(pthread_mutex_t* mutex, bool first, CallSite site) {
  if (at_meta_level()) return false;
  if (mutex_is_robust(mutex)) return site_reified(site);  // libc marks all of these shared, too
  if (mutex_is_shared(mutex)) return count_unclassified();
  return tagged_object_reified(mutex_tag(mutex), first, site);
}

bool rwlock_reified(pthread_rwlock_t* lock, bool first, CallSite site) {
  if (at_meta_level()) return false;
  if (rwlock_is_shared(lock)) return count_unclassified();
  return tagged_object_reified(rwlock_tag(lock), first, site);
}

bool semaphore_reified(sem_t* semaphore, bool first, CallSite site) {
  if (at_meta_level()) return false;
  if (semaphore_is_shared(semaphore)) return count_unclassified();
  return tagged_object_reified(semaphore_tag(semaphore), first, site);
}

bool site_reified(CallSite site) {
  if (at_meta_level()) return false;
  if (classification == nullptr) return count_unclassified();
  const Classification::Verdict verdict = classify_site(site);
  return count_and_decide(verdict.site_class & 0xFF, verdict.contention_point);
}

void select_at_creation(pthread_mutex_t* mutex, CallSite site) {
  if (mutex_is_robust(mutex) || mutex_is_shared(mutex)) return;
  const uint16_t site_class =
      classification == nullptr ? uint16_t{0} : classify(site).site_class;
  mutex_tag(mutex).store(tag_of({true, site_class}), std::memory_order_relaxed);
}

}  // namespace auxin::os
