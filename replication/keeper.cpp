// SPDX-License-Identifier: Apache-2.0
#include "replication/keeper.h"

#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "checkpoint/process/address_space.h"
#include "replication/futex.h"
#include "replication/replica.h"

namespace auxin::replication {
namespace {

constexpr uint64_t kLookNs = 50'000'000;
constexpr uint64_t kPatienceNs = 10'000'000'000;
constexpr uint64_t kPassivePatienceNs = 120'000'000'000;  // nobody else has the sockets meanwhile

// Nothing but raw system calls and reads of stable memory from here on.
[[noreturn]] void keep(int replica_pid, int id, uint32_t incarnation) {
  raw_syscall(SYS_setsid);
  char name[16] = "auxin-keeper";
  raw_syscall(SYS_prctl, PR_SET_NAME, reinterpret_cast<long>(name));
  // Followers of the same user may fetch descriptors from here where Yama restricts tracing.
  raw_syscall(SYS_prctl, PR_SET_PTRACER, PR_SET_PTRACER_ANY);
  GroupControl& control = replica->control();
  uint64_t died_ns = 0;
  bool seen_alive = false;
  const uint64_t started_ns = monotonic_ns();
  for (;;) {
    sleep_ns(kLookNs);
    // No descriptor may be opened here: the table is the server's. The life lock tells.
    const bool alive = control.replicas[id].life.seems_held() &&
                       control.replicas[id].pid.load() == replica_pid;
    if (alive) seen_alive = true;
    if (alive) continue;
    const uint64_t now_ns = monotonic_ns();
    if (!seen_alive && now_ns - started_ns < kPatienceNs / 2) continue;
    if (died_ns == 0) died_ns = now_ns;
    const int leader = control.leader.load();
    const GroupPhase phase = control.phase.load();
    const bool replaced = leader >= 0 && leader != id &&
                          control.replicas[leader].role.load() == Role::kLeader &&
                          control.replicas[leader].life.seems_held();
    const bool restarted = control.replicas[id].incarnation.load() != incarnation;
    const uint64_t patience_ns =
        is_passive(control.style.load()) ? kPassivePatienceNs : kPatienceNs;
    if (phase >= GroupPhase::kEnding || (replaced && now_ns - died_ns > kLookNs * 4) ||
        (restarted && now_ns - died_ns > patience_ns / 4) || now_ns - died_ns > patience_ns)
      raw_syscall(SYS_exit_group, 0);
  }
}

// Not for the keeper: it reads the group's words, this library's and its own stack.
void leave_large_memory_out(int advice) {
  constexpr uint64_t kLargeBytes = 1 << 20;
  checkpoint::for_each_mapped_range(
      [](const checkpoint::MappedRange& range, void* to) {
        const auto has = [&range](const void* address) {
          const auto at = reinterpret_cast<uint64_t>(address);
          return at >= range.begin && at < range.end;
        };
        if (range.shared || range.end - range.begin < kLargeBytes || range.name[0] == '/' ||
            has(&range) || has(__builtin_thread_pointer()) || has(&replica))
          return true;
        raw_syscall(SYS_madvise, static_cast<long>(range.begin),
                    static_cast<long>(range.end - range.begin), *static_cast<int*>(to));
        return true;
      },
      &advice);
}

}  // namespace

int start_keeper_alone() {
  leave_large_memory_out(MADV_DONTFORK);
  const int pid = start_keeper();
  leave_large_memory_out(MADV_DOFORK);
  return pid;
}

int start_keeper() {
  const int replica_pid = replica->pid();
  const int id = replica->id();
  const uint32_t incarnation = replica->slot().incarnation.load();
  uint64_t all = ~0ull, before = 0;
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&all),
              reinterpret_cast<long>(&before), 8);
  clone_args arguments{};
  arguments.flags = CLONE_FILES;
  arguments.exit_signal = 0;
  const long pid = raw_syscall(SYS_clone3, reinterpret_cast<long>(&arguments), sizeof arguments);
  if (pid == 0) keep(replica_pid, id, incarnation);
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&before), 0, 8);
  if (pid > 0) replica->slot().keeper_pid.store(static_cast<int>(pid));
  return static_cast<int>(pid);
}

}  // namespace auxin::replication
