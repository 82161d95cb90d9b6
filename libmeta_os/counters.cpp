// SPDX-License-Identifier: Apache-2.0
//
// The counter block: its mapping, the threads' shards, the table of site classes.
//
// The mapping is a private one of a memfd that is closed at once: it has a name in /proc/PID/maps,
// no descriptor, and a fork copies it. It is made by the first hooked call, before the process has
// a second thread, and that call may have been made by an allocator that was just asked for its
// first memory: what is done here asks the kernel, and hooks that are entered meanwhile go to libc,
// uncounted.
#include "libmeta_os/counters.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libmeta_os/guard.h"
#include "libmeta_os/private_memory.h"

namespace auxin::os {

static_assert(sizeof(SiteClass) == 128);
static_assert(sizeof(CounterRow) == 24);
static_assert(sizeof(CounterShard) == 64 + 24 * kMaxSiteClasses);
static_assert(sizeof(CounterBlock) ==
              32 + sizeof(SiteClass) * kMaxSiteClasses + sizeof(CounterShard) * kMaxShards +
                  sizeof(UseTable));

thread_local constinit CounterShard* this_shard = nullptr;

namespace {

constinit std::atomic<CounterBlock*> block{nullptr};
alignas(64) constinit CounterBlock fallback_block{};  // untouched, so unbacked, where memfds work

// The key whose destructor gives an ending thread's shard back. Made with the block, so early that
// it is among those that need no allocation.
constinit std::atomic<uint32_t> shard_key_plus_one{0};

void give_back(void* ending_shard) {
  this_shard = nullptr;
  auto* shard = static_cast<CounterShard*>(ending_shard);
  shard->in_use.store(0, std::memory_order_release);
}

CounterBlock* map_block() {
  const long fd = syscall(SYS_memfd_create, "auxin-counters", 1u /* MFD_CLOEXEC */);
  if (fd < 0) return nullptr;
  void* memory = nullptr;
  if (syscall(SYS_ftruncate, fd, sizeof(CounterBlock)) == 0) {
    memory = map_private(sizeof(CounterBlock), static_cast<int>(fd));
  }
  syscall(SYS_close, fd);
  return static_cast<CounterBlock*>(memory);
}

void begin(CounterBlock* made) {
  made->version = kCounterVersion;
  made->shard_count = kMaxShards;
  made->class_count.store(1, std::memory_order_relaxed);  // class 0: "not yet classified"
  made->magic = kCounterMagic;
}

CounterBlock& make_block() {
  const MetaLevel meta;
  const int saved_errno = errno;
  CounterBlock* mine = map_block();
  if (mine == nullptr) mine = &fallback_block;
  begin(mine);
  CounterBlock* expected = nullptr;
  if (block.compare_exchange_strong(expected, mine, std::memory_order_acq_rel)) {
    pthread_key_t key;
    if (pthread_key_create(&key, give_back) == 0) shard_key_plus_one.store(key + 1);
    errno = saved_errno;
    return *mine;
  }
  if (mine != &fallback_block) unmap_private(mine, sizeof(CounterBlock));
  errno = saved_errno;
  return *expected;
}

bool same(const SiteClass& entry, const char* library, const char* join_point) {
  return strncmp(entry.library, library, sizeof(entry.library) - 1) == 0 &&
         strncmp(entry.join_point, join_point, sizeof(entry.join_point) - 1) == 0;
}

void copy_name(char (&to)[64], const char* from) {
  const size_t length = strnlen(from, sizeof(to) - 1);
  memcpy(to, from, length);
  to[length] = '\0';
}

// Held while a class is added. Signals are blocked meanwhile: a handler that counts would wait for
// the thread that it interrupts.
class AddingClass {
 public:
  AddingClass() {
    const uint64_t all = ~uint64_t{0};
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old_mask_, sizeof(all));
    while (busy_.exchange(true, std::memory_order_acquire)) syscall(SYS_sched_yield);
  }
  ~AddingClass() {
    busy_.store(false, std::memory_order_release);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old_mask_, nullptr, sizeof(old_mask_));
  }
  AddingClass(const AddingClass&) = delete;
  AddingClass& operator=(const AddingClass&) = delete;

 private:
  static inline constinit std::atomic<bool> busy_{false};
  uint64_t old_mask_ = 0;
};

uint32_t find_class(const CounterBlock& in, const char* library, const char* join_point) {
  const uint32_t count = in.class_count.load(std::memory_order_acquire);
  for (uint32_t i = 1; i < count; ++i) {
    if (same(in.classes[i], library, join_point)) return i;
  }
  return 0;
}

}  // namespace

CounterBlock& counters() {
  CounterBlock* const made = block.load(std::memory_order_acquire);
  return made != nullptr ? *made : make_block();
}

CounterShard& acquire_shard() {
  const MetaLevel meta;  // libc may have to allocate for a key's value
  CounterBlock& all = counters();
  const int saved_errno = errno;
  const auto tid = static_cast<uint32_t>(syscall(SYS_gettid));
  CounterShard* mine = &all.shards[kMaxShards - 1];
  for (unsigned i = 0; i + 1 < kMaxShards; ++i) {
    uint32_t nobody = 0;
    if (all.shards[i].in_use.compare_exchange_strong(nobody, tid, std::memory_order_acq_rel)) {
      mine = &all.shards[i];
      const uint32_t key_plus_one = shard_key_plus_one.load();
      if (key_plus_one != 0) pthread_setspecific(key_plus_one - 1, mine);
      break;
    }
  }
  this_shard = mine;
  errno = saved_errno;
  return *mine;
}

void keep_only_this_shard() {
  for (CounterShard& each : counters().shards) {
    const bool mine = &each == this_shard;
    each.in_use.store(mine ? static_cast<uint32_t>(syscall(SYS_gettid)) : 0,
                      std::memory_order_relaxed);
  }
}

uint16_t site_class(const char* library, const char* join_point) {
  CounterBlock& all = counters();
  if (const uint32_t found = find_class(all, library, join_point)) {
    return static_cast<uint16_t>(found);
  }
  const int saved_errno = errno;
  uint32_t made = 0;
  {
    const AddingClass adding;
    made = find_class(all, library, join_point);
    const uint32_t count = all.class_count.load(std::memory_order_relaxed);
    if (made == 0 && count < kMaxSiteClasses) {
      copy_name(all.classes[count].library, library);
      copy_name(all.classes[count].join_point, join_point);
      all.class_count.store(count + 1, std::memory_order_release);
      made = count;
    }
  }
  errno = saved_errno;
  return static_cast<uint16_t>(made);
}

void sum_counters(CounterRow* rows) {
  memset(rows, 0, sizeof(CounterRow) * kMaxSiteClasses);
  for (const CounterShard& each : counters().shards) {
    for (unsigned i = 0; i < kMaxSiteClasses; ++i) {
      rows[i].total += __atomic_load_n(&each.rows[i].total, __ATOMIC_RELAXED);
      rows[i].intercepted += __atomic_load_n(&each.rows[i].intercepted, __ATOMIC_RELAXED);
      rows[i].ordered += __atomic_load_n(&each.rows[i].ordered, __ATOMIC_RELAXED);
    }
  }
}

}  // namespace auxin::os
