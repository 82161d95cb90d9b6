// SPDX-License-Identifier: Apache-2.0
#include "stmemu/transaction/contexts.h"

#include <unistd.h>

#include "stmemu/check.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {
namespace {

// True: the caller holds it and must unlock; whatever a dead thread left is recovered. (If a
// recovery is cut short too, the next thread finds the lock marked again.) False: a living thread
// holds it.
bool take_lock(PhysicalMemory& memory, Context& context) {
  switch (context.lock.try_lock(plain_mutex_calls())) {
    case RobustLock::Taken::kClean:
      return true;
    case RobustLock::Taken::kOwnerDied:
      recover_context(memory, context);
      return true;
    case RobustLock::Taken::kBusy:
      return false;
    case RobustLock::Taken::kFailed:
      break;
  }
  check_failed(__FILE__, __LINE__, "try_lock", "a context's lock works");
}

// An isolated client can't recover what the controller left: the next controller does.
bool is_the_controllers(PhysicalMemory& memory, const Context& context) {
  return memory.connection() != nullptr &&
         (context.own_descriptor.load(std::memory_order_acquire) != 0 ||
          context.descriptor.load(std::memory_order_acquire) != 0);
}

}  // namespace

uint32_t take_context(PhysicalMemory& memory) {
  for (uint32_t index = 0; index < kContexts; ++index) {
    Context& context = memory.board().contexts[index];
    if (context.lock.seems_held() || is_the_controllers(memory, context)) continue;
    if (!take_lock(memory, context)) continue;
    context.pid.store(static_cast<uint32_t>(getpid()), std::memory_order_relaxed);
    return index;
  }
  return kContexts;
}

void give_context_back(PhysicalMemory& memory, uint32_t index) {
  Context& context = memory.board().contexts[index];
  CHECK(context.active.load(std::memory_order_relaxed) == 0,
        "a transaction ends before its thread");
  context.pid.store(0, std::memory_order_relaxed);
  context.lock.unlock(plain_mutex_calls());
}

bool still_runs(PhysicalMemory& memory, uint64_t activity) {
  const uint32_t index = OwnerWord::context_of(activity);
  if (index >= kContexts) return false;
  Context& context = memory.board().contexts[index];
  if (context.active.load(std::memory_order_acquire) != OwnerWord::activity_of(activity)) {
    return false;
  }
  if (context.lock.seems_held() || is_the_controllers(memory, context) ||
      !take_lock(memory, context)) {
    return true;
  }
  context.lock.unlock(plain_mutex_calls());
  return false;
}

uint32_t recover_dead_contexts(PhysicalMemory& memory) {
  uint32_t recovered = 0;
  for (uint32_t index = 0; index < kContexts; ++index) {
    Context& context = memory.board().contexts[index];
    if (context.lock.seems_held() || is_the_controllers(memory, context)) continue;
    const bool in_use = context.active.load(std::memory_order_acquire) != 0;
    if (!in_use || !take_lock(memory, context)) continue;
    context.lock.unlock(plain_mutex_calls());
    ++recovered;
  }
  return recovered;
}

std::string why_standby(uint64_t holder) {
  const uint32_t process = HolderWord::pid_of(holder);
  if (process == 0) return "no processor of the stable node has this memory now";
  const std::string whose = "this memory is process " + std::to_string(process) +
                            "'s alone, the active processor of its stable node";
  return (holder & HolderWord::kClosed) != 0 ? whose + ", and it is changing hands" : whose;
}

}  // namespace auxin::stm
