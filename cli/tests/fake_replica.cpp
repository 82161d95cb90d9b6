// SPDX-License-Identifier: Apache-2.0
//
// A server for the supervisor's tests that plays a replica by itself: it enters its slot, takes the
// leadership when it is free, follows the log's end and does on command what servers do. It has
// nothing preloaded.
//
//   fake_replica [OPTION…]
//     --exit-status N     what the leader exits with after SIGTERM (default 0)
//     --default-signals   no handler: SIGTERM kills
//     --ignore-signals    SIGTERM is ignored
//     --request A         a request with this activity is in hand, all the time
//     --journal FILE      a line is added to FILE at the start
//     --never-ready
//     --move-output       its standard output and error are kept under other numbers
//     --write FILE        a file that it opens for writing
//     --keeper            a forked process by the name of a keeper outlives the replica
// SIGUSR1 makes the leader append an entry to the log.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <string>

#include "replication/environment.h"
#include "replication/supervisor/group_memory.h"
#include "replication/supervisor/processes.h"
#include "stmemu/robust_lock.h"

namespace {

using namespace auxin;
using replication::GroupPhase;
using replication::Role;

std::atomic<int> asked_to_end = 0;
std::atomic<int> entries_wanted = 0;

struct Options {
  int exit_status = 0;
  bool default_signals = false, ignore_signals = false, never_ready = false, keeper = false;
  uint64_t request = 0;
  std::string journal, written;
  bool move_output = false;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    auto next = [&]() -> const char* { return i + 1 < argc ? argv[++i] : ""; };
    if (word == "--exit-status") options.exit_status = atoi(next());
    if (word == "--default-signals") options.default_signals = true;
    if (word == "--ignore-signals") options.ignore_signals = true;
    if (word == "--never-ready") options.never_ready = true;
    if (word == "--keeper") options.keeper = true;
    if (word == "--request") options.request = strtoull(next(), nullptr, 0);
    if (word == "--journal") options.journal = next();
    if (word == "--write") options.written = next();
    if (word == "--move-output") options.move_output = true;
  }
  return options;
}

void lead(replication::GroupControl& control, int id) {
  const int before = control.leader.load();
  control.leader.store(id);
  control.replicas[id].role.store(Role::kLeader);
  const uint32_t epoch = control.epoch.fetch_add(1) + 1;
  if (before >= 0) {
    auto& record = control.promotions[control.promotion_count.load() %
                                      replication::kMaxPromotions];
    record.sequence.fetch_add(1);
    record.epoch = epoch;
    record.from = before;
    record.to = id;
    record.from_pid = 0;
    record.detected_ns = 1'000'100'000;
    record.serving_ns = 1'001'500'000;
    record.died_ns = 1'000'000'000;
    record.sequence.fetch_add(1);
    control.promotion_count.fetch_add(1);
  }
  GroupPhase starting = GroupPhase::kStarting;
  control.phase.compare_exchange_strong(starting, GroupPhase::kRunning);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  const char* path = getenv(replication::kGroupVariable);
  const char* number = getenv(replication::kReplicaVariable);
  if (path == nullptr || number == nullptr) return 99;
  const int id = atoi(number);
  // A replica maps for writing; the log's own interface is in the group's memory.
  auto opened = stm::StableMemory::open(path, replication::kControlVersion);
  if (!opened) {
    fprintf(stderr, "fake_replica: %s\n", opened.error().c_str());
    return 98;
  }
  stm::StableLog log(*opened);
  auto& control = *static_cast<replication::GroupControl*>(opened->control());

  struct sigaction action = {};
  action.sa_handler = [](int) { asked_to_end.store(1); };
  if (options.ignore_signals) action.sa_handler = SIG_IGN;
  if (!options.default_signals) {
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
  }
  action.sa_handler = [](int) { entries_wanted.fetch_add(1); };
  sigaction(SIGUSR1, &action, nullptr);

  if (!options.journal.empty()) std::ofstream(options.journal, std::ios::app) << "started\n";

  if (!options.written.empty()) open(options.written.c_str(), O_WRONLY | O_CREAT, 0600);
  if (options.move_output) {
    const int sink = open("/dev/null", O_WRONLY);
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
      fcntl(fd, F_DUPFD, 500);
      dup2(sink, fd);
    }
  }

  if (options.keeper && fork() == 0) {
    setsid();
    prctl(PR_SET_NAME, "auxin-keeper");
    for (;;) pause();
  }

  auto& slot = control.replicas[id];
  slot.start_time_ticks.store(supervisor::start_time_ticks(getpid()));
  slot.role.store(Role::kJoining);
  slot.position.store(log.begin());
  slot.pid.store(getpid());
  control.threads[id][0].activity.store(options.request);
  control.threads[id][0].request_id.store(77);
  control.threads[id][0].activity_position.store(5);

  bool leads = false;
  for (;;) {
    if (!leads && control.phase.load() < GroupPhase::kEnding) {
      const auto taken = control.leadership.try_lock(stm::plain_mutex_calls());
      leads = taken == stm::RobustLock::Taken::kClean ||
              taken == stm::RobustLock::Taken::kOwnerDied;
      if (leads) lead(control, id);
    }
    if (!leads) slot.role.store(Role::kFollower);
    for (; leads && entries_wanted.load() > 0; entries_wanted.fetch_sub(1)) {
      stm::LogEntry entry{};
      entry.kind = 1;
      log.append(entry);
      control.requests.fetch_add(1);
    }
    slot.position.store(log.end());
    if (!options.never_ready) slot.ready.store(1);
    if (leads && asked_to_end.load() != 0) {
      control.exit_status.store(options.exit_status);
      control.phase.store(GroupPhase::kEnding);
      return options.exit_status;
    }
    const timespec pause = {0, 1'000'000};
    nanosleep(&pause, nullptr);
  }
}
