// SPDX-License-Identifier: Apache-2.0
#include "replication/named_threads.h"

#include <stdlib.h>

#include "checkpoint/process/thread_restart.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/private_memory.h"
#include "libmeta_os/thread_numbers.h"
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

// Another process had threads whose numbers libc still has.
bool is_restored() {
  return os::number_of_restored_thread.load(std::memory_order_relaxed) != nullptr;
}

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
  if (is_restored()) checkpoint::take_number_of_its_own();
  if (born.activity != 0) set_thread_activity(born.activity);
  return born.routine(born.argument);
}

}  // namespace

os::ThreadFacet::Start NamedThreads::creating(Start start, os::CallSite site) {
  os::MetaLevel meta;
  Activity* parent = current_activity();
  const bool named = parent->id != 0 && starts_application_thread(site);
  if (!named && !is_restored()) return start;
  Birth* birth = allocate();
  *birth = Birth{start.routine, start.argument,
                 named ? thread_activity_id(parent->id, ++parent->children) : 0, nullptr};
  return Start{run, birth};
}

void NamedThreads::creation_failed(Start replaced) {
  if (replaced.routine == run) release(static_cast<Birth*>(replaced.argument));
}

}  // namespace auxin::replication
