// SPDX-License-Identifier: Apache-2.0
#include "stmemu/node/fence.h"

#include <time.h>
#include <unistd.h>

#include "stmemu/check.h"
#include "stmemu/isolated/connection.h"
#include "stmemu/node/clock.h"
#include "stmemu/node/node_step.h"
#include "stmemu/node/processor.h"
#include "stmemu/transaction/contexts.h"

namespace auxin::stm {
namespace {

constexpr uint32_t kRound_us = 10'000;  // of waiting for a thread to die
constexpr uint64_t kPause_ns = 100'000;
constexpr int kPausesPerRound = 10;

void add(const Findings& found, Findings* sum) {
  sum->undone += found.undone;
  sum->redone += found.redone;
  sum->repaired += found.repaired;
  sum->lost += found.lost;
}

bool in_use(const Context& context) {
  return context.lock.seems_held() || context.active.load(std::memory_order_acquire) != 0;
}

// False: it is a living thread's of another process.
bool fence_context(PhysicalMemory& memory, Context& context, uint32_t process,
                   uint64_t started_ticks, const std::function<void()>& each_round,
                   Fenced* done) {
  for (;;) {
    each_round();
    // A thread takes the lock first, and says then whose it is.
    const uint32_t owner = context.pid.load(std::memory_order_relaxed);
    if (context.lock.seems_held()) {
      if (owner != 0 && owner != process) return false;
    }
    const uint64_t start_ns = monotonic_ns();
    const RobustLock::Taken taken = context.lock.lock_for(plain_mutex_calls(), kRound_us);
    done->waited_ns += monotonic_ns() - start_ns;
    switch (taken) {
      case RobustLock::Taken::kClean:
      case RobustLock::Taken::kOwnerDied:
        add(recover_context(memory, context), &done->findings);
        context.lock.unlock(plain_mutex_calls());
        ++done->contexts;
        return true;
      case RobustLock::Taken::kBusy:
        if (owner == process) static_cast<void>(kill_process(process, started_ticks));
        break;
      case RobustLock::Taken::kFailed:
        check_failed(__FILE__, __LINE__, "lock_for", "a context's lock works");
    }
  }
}

}  // namespace

Fenced fence_process(PhysicalMemory& memory, uint32_t process, uint64_t started_ticks,
                     const std::function<void()>& each_round) {
  CHECK(process != static_cast<uint32_t>(getpid()), "a process does not fence itself");
  Fenced done;
  for (Context& context : memory.board().contexts) {
    if (!in_use(context)) continue;
    if (fence_context(memory, context, process, started_ticks, each_round, &done)) {
      node_step(NodeStep::kThreadEnded);
    }
  }
  // What an isolated client asked for is carried out by the controller, perhaps just now; what it
  // has not begun by now it refuses.
  if (memory.connection() != nullptr) {
    const uint64_t start_ns = monotonic_ns();
    memory.connection()->settle(each_round);
    done.waited_ns += monotonic_ns() - start_ns;
  }
  return done;
}

bool wait_for_quiet(PhysicalMemory& memory, bool others, uint64_t timeout_us,
                    const std::function<bool()>& each_round) {
  const auto own = static_cast<uint32_t>(getpid());
  const uint64_t start_ns = monotonic_ns();
  int pauses = 0;
  for (Context& context : memory.board().contexts) {
    for (;;) {
      const uint64_t active = context.active.load(std::memory_order_acquire);
      if (active == 0 || (context.pid.load(std::memory_order_relaxed) == own) == others) break;
      if (!still_runs(memory, active)) break;  // (its thread may have died)
      if (monotonic_ns() - start_ns >= timeout_us * 1000) return false;
      if (++pauses % kPausesPerRound == 0 && !each_round()) return false;
      const timespec pause = {0, kPause_ns};
      nanosleep(&pause, nullptr);
    }
  }
  return true;
}

}  // namespace auxin::stm
