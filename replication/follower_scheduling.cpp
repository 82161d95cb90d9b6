// SPDX-License-Identifier: Apache-2.0
#include "replication/follower_scheduling.h"

#include <string.h>

#include <algorithm>
#include <atomic>

#include "replication/futex.h"
#include "replication/numbered_entries.h"
#include "replication/replica.h"

namespace auxin::replication {
namespace {

// Linux 6.12 and later: a thread that wakes up runs at once where its slice is shorter than the
// running one's. Earlier kernels leave the number alone.
constexpr uint64_t kSliceNs = 10'000'000;

struct Attributes {  // of sched_setattr(2)
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime_ns, deadline_ns, period_ns;
};

cpu_set_t cpus_before;
cpu_set_t one_cpu;
std::atomic<bool> scheduled_as_follower{false};  // the sets above are made, and stay

// A thread that the server has put elsewhere since is where the server wants it.
bool is_where_followers_are(const cpu_set_t* cpus, size_t size) {
  return memcmp(cpus, &one_cpu, std::min(size, sizeof one_cpu)) == 0;
}

bool to_batch(long tid) {
  Attributes attributes{};
  if (raw_syscall(SYS_sched_getattr, tid, reinterpret_cast<long>(&attributes), sizeof attributes,
                  0) != 0)
    return false;
  if (attributes.policy != SCHED_OTHER) return false;
  attributes.size = sizeof attributes;
  attributes.policy = SCHED_BATCH;
  attributes.flags = 0;
  attributes.runtime_ns = kSliceNs;
  return raw_syscall(SYS_sched_setattr, tid, reinterpret_cast<long>(&attributes), 0) == 0;
}

void to_normal(long tid) {
  sched_param parameters{};  // leaves the thread's nice value, and gives it the ordinary slice
  raw_syscall(SYS_sched_setscheduler, tid, SCHED_OTHER, reinterpret_cast<long>(&parameters));
  cpu_set_t now{};
  if (raw_syscall(SYS_sched_getaffinity, tid, sizeof now, reinterpret_cast<long>(&now)) > 0 &&
      is_where_followers_are(&now, sizeof now))
    raw_syscall(SYS_sched_setaffinity, tid, sizeof cpus_before,
                reinterpret_cast<long>(&cpus_before));
}

}  // namespace

void schedule_as_follower() {
  if (replica->settings().follower_one_cpu == 0) return;
  if (raw_syscall(SYS_sched_getaffinity, 0, sizeof cpus_before,
                  reinterpret_cast<long>(&cpus_before)) < 0)
    return;
  const int count = CPU_COUNT(&cpus_before);
  if (count < 2) return;
  // Followers spread over the processors from the last one on.
  int wanted = count - 1 - replica->id() % count;
  int cpu = 0;
  while (!CPU_ISSET(cpu, &cpus_before) || wanted-- != 0) ++cpu;
  CPU_ZERO(&one_cpu);
  CPU_SET(cpu, &one_cpu);
  for_each_numbered_entry("/proc/self/task", [](int tid) {
    if (!to_batch(tid)) return;
    raw_syscall(SYS_sched_setaffinity, tid, sizeof one_cpu, reinterpret_cast<long>(&one_cpu));
    scheduled_as_follower.store(true, std::memory_order_release);
  });
}

void schedule_as_leader() {
  if (!scheduled_as_follower.load(std::memory_order_acquire)) return;
  // Again while there were any: a thread that is just being made inherits its maker's.
  for (int round = 0; round < 8; ++round) {
    bool found = false;
    for_each_numbered_entry("/proc/self/task", [&found](int tid) {
      if (raw_syscall(SYS_sched_getscheduler, tid) != SCHED_BATCH) return;
      to_normal(tid);
      found = true;
    });
    if (!found) break;
  }
}

void schedule_as_child() {
  if (!scheduled_as_follower.load(std::memory_order_acquire)) return;
  if (raw_syscall(SYS_sched_getscheduler, 0) == SCHED_BATCH) to_normal(0);
}

void show_processors_as_started(size_t size, cpu_set_t* cpus) {
  if (!scheduled_as_follower.load(std::memory_order_acquire)) return;
  if (is_where_followers_are(cpus, size))
    memcpy(cpus, &cpus_before, std::min(size, sizeof cpus_before));
}

}  // namespace auxin::replication
