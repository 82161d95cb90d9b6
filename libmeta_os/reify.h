// SPDX-License-Identifier: Apache-2.0
//
// How a synchronisation hook decides: straight to libc, or to the facet.
//
// For objects with a tag the decision is one comparison and one count (`unselected`), inlined in
// the hook; everything else is the slow path in reify.cpp. A thread at the meta level always goes
// to libc, uncounted. Every call is counted under its object's site class: total, and intercepted
// if it goes to the facet (which itself counts what it orders).
//
// Thread safety: any thread; lock-free. May be called before constructors.
#pragma once

#include "libmeta_os/counters.h"
#include "libmeta_os/facets.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/object_tag.h"

namespace auxin::os {

// The fast path: the object is known and does not matter. Counts the call.
[[gnu::always_inline]] inline bool unselected(uint64_t tag) {
  CounterShard* const shard = this_shard;
  if (tag >> 47 != kTagMagic >> 47 || shard == nullptr) [[unlikely]]
    return false;
  ++shard->rows[tag_class(tag)].total;
  return true;
}

// The same for an object that is known to be a contention point: true if it goes to the facet.
[[gnu::always_inline]] inline bool selected(uint64_t tag) {
  CounterShard* const shard = this_shard;
  if (tag >> 47 != (kTagMagic | kTagContentionPoint) >> 47 || shard == nullptr ||
      at_meta_level() || facets.synchronisation == nullptr)
    return false;
  ++shard->rows[tag_class(tag)].total;
  count_intercepted(*shard, tag_class(tag));
  return true;
}

// Nothing is known of any object, because nobody classifies (yet): counts the call under class 0.
inline bool unclassified() {
  CounterShard* const shard = this_shard;
  if (classification != nullptr || shard == nullptr) return false;
  if (!at_meta_level()) ++shard->rows[0].total;
  return true;
}

// The slow paths: true if the call goes to facets.synchronisation. `first` calls (lock forms)
// classify an unknown object and leave the verdict in it; the others (unlock, wait) do not.
bool mutex_reified(pthread_mutex_t* mutex, bool first, CallSite site);
bool rwlock_reified(pthread_rwlock_t* lock, bool first, CallSite site);
bool semaphore_reified(sem_t* semaphore, bool first, CallSite site);
// Objects without room for a tag: by call site alone.
bool site_reified(CallSite site);

// Marks a mutex that was just initialised as a contention point, if it can be one.
void select_at_creation(pthread_mutex_t* mutex, CallSite site);

// Asks the classification whether a value read at `site` is to be logged; false at the meta level
// and where no style has the facet.
inline bool value_wanted(CallSite site) {
  if (facets.values == nullptr || classification == nullptr || at_meta_level()) [[likely]] {
    return false;
  }
  const MetaLevel meta;
  return classification->value(site);
}

inline bool clock_wanted(clockid_t clock, CallSite site) {
  if (facets.values == nullptr || classification == nullptr || at_meta_level()) [[likely]] {
    return false;
  }
  const MetaLevel meta;
  return classification->clock(clock, site);
}

}  // namespace auxin::os
