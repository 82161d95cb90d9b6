// SPDX-License-Identifier: Apache-2.0
#include "stmemu/protection/violation_trap.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <atomic>
#include <mutex>

namespace auxin::stm {
namespace {

constexpr int kMaxAreas = 64;
constexpr uint64_t kWriteFault = 2;  // bit of the page fault's error code

struct Area {
  std::atomic<const char*> from{nullptr};  // null: free; set last
  uint64_t size_bytes = 0;
  FaultJudge judge = nullptr;
  void* owner = nullptr;
};

Area areas[kMaxAreas];
std::mutex areas_mutex;  // for changing them
struct sigaction previous[2];  // of SIGBUS, SIGSEGV

void pass_on(int number, siginfo_t* info, void* context) {
  const struct sigaction& before = previous[number == SIGBUS ? 0 : 1];
  if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction != nullptr) {
    before.sa_sigaction(number, info, context);
    return;
  }
  if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(number);
    return;
  }
  // The default: the fault happens again, and nobody catches it.
  struct sigaction plain = {};
  plain.sa_handler = SIG_DFL;
  sigaction(number, &plain, nullptr);
}

void on_fault(int number, siginfo_t* info, void* context) {
  const char* address = static_cast<const char*>(info->si_addr);
  const auto* machine = static_cast<const ucontext_t*>(context);
  const bool writing =
      (static_cast<uint64_t>(machine->uc_mcontext.gregs[REG_ERR]) & kWriteFault) != 0;
  for (Area& area : areas) {
    const char* from = area.from.load(std::memory_order_acquire);
    if (from == nullptr || static_cast<uint64_t>(address - from) >= area.size_bytes) continue;
    if (area.judge(area.owner, address, writing)) return;
    break;
  }
  pass_on(number, info, context);
}

void install() {
  const int numbers[2] = {SIGBUS, SIGSEGV};
  for (int index = 0; index < 2; ++index) {
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    // A judge may jump out of the handler: the signal must not stay blocked.
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigaction(numbers[index], &action, &previous[index]);
  }
}

}  // namespace

bool watch_area(const void* from, uint64_t size_bytes, FaultJudge judge, void* owner) {
  static std::once_flag installed;
  std::call_once(installed, install);
  const std::lock_guard lock(areas_mutex);
  for (Area& area : areas) {
    if (area.from.load(std::memory_order_relaxed) != nullptr) continue;
    area.size_bytes = size_bytes;
    area.judge = judge;
    area.owner = owner;
    area.from.store(static_cast<const char*>(from), std::memory_order_release);
    return true;
  }
  return false;
}

void unwatch_areas(void* owner) {
  const std::lock_guard lock(areas_mutex);
  for (Area& area : areas) {
    if (area.from.load(std::memory_order_relaxed) != nullptr && area.owner == owner) {
      area.from.store(nullptr, std::memory_order_release);
    }
  }
}

}  // namespace auxin::stm
