// SPDX-License-Identifier: Apache-2.0
#include "replication/named_threads.h"

#include <stdlib.h>

#include "libmeta_os/guard.h"
#include "libmeta_os/private_memory.h"
#include "replication/activity.h"
#include "replication/classification.h"
#include "replication/futex.h"
#include "stmemu/check.h"

namespace auxin::replication {
namespace {

// What a new thread is to be: passed through pthread_create's argument. From a small pool: hooks do
// not use the heap.
struct Birth {
  void* (*routine)(void*);
  void* argument;
  uint64_t activity;
  Birth* next;
};

FutexLock pool_lock;
Birth* pool = nullptr;

Birth* allocate() {
  FutexGuard guard(pool_lock);
  if (pool == nullptr) {
    constexpr size_t kBlockBytes = 4096;
    void* block = os::map_private(kBlockBytes);
    CHECK(block != nullptr, "no memory for a thread's name");
    Birth* births = static_cast<Birth*>(block);
    for (size_t i = 0; i < kBlockBytes / sizeof(Birth); ++i) {
      births[i].next = pool;
      pool = &births[i];
    }
  }
  Birth* birth = pool;
  pool = birth->next;
  return birth;
}

void release(Birth* birth) {
  FutexGuard guard(pool_lock);
  birth->next = pool;
  pool = birth;
}

void* run(void* argument) {
  Birth* birth = static_cast<Birth*>(argument);
  const Birth born = *birth;
  release(birth);
  set_thread_activity(born.activity);
  return born.routine(born.argument);
}

}  // namespace

os::ThreadFacet::Start NamedThreads::creating(Start start, os::CallSite site) {
  os::MetaLevel meta;
  Activity* parent = current_activity();
  if (parent->id == 0 || !starts_application_thread(site)) return start;
  Birth* birth = allocate();
  *birth = Birth{start.routine, start.argument, thread_activity_id(parent->id, ++parent->children),
                 nullptr};
  return Start{run, birth};
}

void NamedThreads::creation_failed(Start replaced) {
  if (replaced.routine == run) release(static_cast<Birth*>(replaced.argument));
}

}  // namespace auxin::replication
