// SPDX-License-Identifier: Apache-2.0
#include "replication/request_turns.h"

#include <atomic>

#include "libmeta_req/orb_binding.h"
#include "replication/futex.h"
#include "replication/replay.h"
#include "replication/replica.h"
#include "replication/turns.h"

namespace auxin::replication {
namespace {

constexpr uint64_t kPatienceNs = 1'000'000'000;

std::atomic<bool> pooled{false};      // the ORB has a pool with a limit
std::atomic<bool> concurrent{false};  // and two of its requests were in progress at once
std::atomic<bool> has_followed{false};  // there may be more workers than the pool's
std::atomic<uint32_t> begun{0};
uint32_t ended = 0;

FutexLock alone;                      // held by the request in progress, as long as not concurrent
thread_local constinit bool counted = false;
thread_local constinit bool holds = false;

bool try_alone() { return holds = alone.try_lock(); }

}  // namespace

void worker_task(uint64_t task) {
  if (!req::is_limited_task(task)) return;
  pooled.store(true, std::memory_order_relaxed);
  if (replica->leads()) return;
  has_followed.store(true);
  req::lift_limit(task);
}

uint64_t begin_turn() {
  const uint32_t begun_now = begun.fetch_add(1) + 1;
  counted = true;
  if (!pooled.load(std::memory_order_relaxed) || concurrent.load(std::memory_order_relaxed))
    return 0;
  std::atomic_ref<uint32_t> count(ended);
  if (count.load() + 1 == begun_now && try_alone()) return begun_now;
  const uint64_t deadline_ns = monotonic_ns() + kPatienceNs;
  while (has_followed.load() && !concurrent.load() && monotonic_ns() < deadline_ns) {
    const uint32_t seen = count.load();
    if (try_alone()) return uint64_t{count.load()} + 1;
    await_change(&ended, seen);
  }
  concurrent.store(true);
  return 0;
}

void follow_turn(uint64_t number, uint64_t position) {
  begun.fetch_add(1);
  counted = true;
  has_followed.store(true, std::memory_order_relaxed);
  if (number == 0) {
    if (pooled.load(std::memory_order_relaxed)) concurrent.store(true, std::memory_order_relaxed);
    return;
  }
  replay.await_everything_before(position);
  std::atomic_ref<uint32_t> count(ended);
  for (uint32_t seen; static_cast<int32_t>((seen = count.load()) - (number - 1)) < 0 &&
                      !replica->leads();)
    await_change(&ended, seen);
  try_alone();
}

void end_turn() {
  if (!counted) return;
  counted = false;
  if (holds) {
    holds = false;
    alone.unlock();
  }
  std::atomic_ref<uint32_t>(ended).fetch_add(1);
  announce_change(&ended);
}

}  // namespace auxin::replication
