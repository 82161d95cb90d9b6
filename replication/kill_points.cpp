// SPDX-License-Identifier: Apache-2.0
#include "replication/kill_points.h"

#ifdef AUXIN_KILL_POINTS

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "replication/futex.h"
#include "replication/replica.h"

namespace auxin::replication {
namespace {

constexpr const char* kNames[] = {
#define KILL_POINT(identifier, name) name,
#include "replication/kill_points.def"
#undef KILL_POINT
};

int armed_point = -1;
int armed_replica = -1;
std::atomic<int> passes_left{0};

bool concerns(KillPoint point) {
  return static_cast<int>(point) == armed_point &&
         (armed_replica < 0 || (replica != nullptr && replica->id() == armed_replica));
}

}  // namespace

void prepare_kill_points() {
  const char* wanted = getenv("AUXIN_KILL_POINT");
  if (wanted == nullptr) return;
  const size_t length = strcspn(wanted, ":");
  for (size_t i = 0; i < sizeof kNames / sizeof *kNames; ++i)
    if (strlen(kNames[i]) == length && strncmp(kNames[i], wanted, length) == 0)
      armed_point = static_cast<int>(i);
  passes_left = wanted[length] == ':' ? atoi(wanted + length + 1) : 1;
  if (const char* id = getenv("AUXIN_KILL_REPLICA")) armed_replica = atoi(id);
  // A restarted replica is spared: each arming kills once.
  if (replica != nullptr && replica->slot().incarnation.load() > 1) armed_point = -1;
}

bool kill_point_armed(KillPoint point) { return concerns(point) && passes_left.load() == 1; }

void kill_point(KillPoint point) {
  if (!concerns(point) || passes_left.fetch_sub(1) != 1) return;
  raw_syscall(SYS_kill, raw_syscall(SYS_getpid), SIGKILL);
  for (;;) raw_syscall(SYS_pause);
}

}  // namespace auxin::replication

#endif
