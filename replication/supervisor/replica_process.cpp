// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/replica_process.h"

#include <signal.h>
#include <sys/wait.h>

#include "replication/supervisor/processes.h"

namespace auxin::supervisor {
namespace {

constexpr int64_t kWrapperPatienceMs = 1000;  // for a wrapper to end after its server
constexpr int64_t kStatusPatienceMs = 100;    // for a stranger's status to be known

}  // namespace

void ReplicaProcess::Watched::watch(int new_pid) {
  pid = new_pid;
  pidfd = new_pid > 0 ? open_process(new_pid) : Descriptor();
  status.reset();
  gone = false;
}

void ReplicaProcess::Watched::look() {
  if (!lives()) return;
  gone = status.has_value() || has_ended(pidfd);
}

void ReplicaProcess::started(int child_pid, int64_t now_ms) { adopted(child_pid, 0, now_ms); }

void ReplicaProcess::adopted(int child_pid, int server_pid, int64_t now_ms) {
  child_.watch(child_pid);
  server_.watch(server_pid);
  runs_ = true;
  started_at_ms_ = now_ms;
  server_ended_at_ms_ = 0;
  restart_at_ms.reset();
}

void ReplicaProcess::reaped(const replication::ReplicaSlot& slot, int pid, int wait_status) {
  if (runs_ && slot.pid.load() == pid && pid != child_.pid && pid != server_.pid) {
    server_.watch(pid);  // it ended before we had seen it enter itself
  }
  for (Watched* watched : {&child_, &server_}) {
    if (watched->pid == pid && !watched->status) watched->status = wait_status;
  }
}

bool ReplicaProcess::look(const replication::ReplicaSlot& slot, bool patient, int64_t now_ms) {
  if (!runs_) return false;
  const int entered = slot.pid.load();
  if (entered > 0 && entered != server_.pid) {
    if (entered == child_.pid) {
      server_.pid = entered;  // the pidfd of the child is watched
    } else {
      server_.watch(entered);
    }
  }
  child_.look();
  if (!wrapped()) {
    // One process (or none known but the child).
    if (server_.pid != 0) {
      server_.gone = child_.gone;
      server_.status = child_.status;
    }
    if (child_.lives()) return false;
  } else {
    server_.look();
    if (server_.lives()) return false;
    if (server_ended_at_ms_ == 0) server_ended_at_ms_ = now_ms;
    if (child_.lives()) {
      if (!patient && now_ms - server_ended_at_ms_ >= kWrapperPatienceMs) {
        kill(-child_.pid, SIGKILL);
      }
      return false;
    }
  }
  // All have ended. The status of a stranger comes with its parent's wait: a little later.
  if (server_ended_at_ms_ == 0) server_ended_at_ms_ = now_ms;
  for (Watched* watched : {&child_, &server_}) {
    if (watched->pid == 0 || watched->status) continue;
    watched->status = wait_status_of_stranger(watched->pidfd);
    if (!watched->status && now_ms - server_ended_at_ms_ < kStatusPatienceMs) return false;
  }
  runs_ = false;
  return true;
}

int ReplicaProcess::signal_target() const {
  if (!runs_) return 0;
  if (server_.lives()) return server_.pid;
  return child_.lives() ? -child_.pid : 0;
}

void ReplicaProcess::signal_all(int signal) const {
  if (!runs_) return;
  if (child_.lives()) {
    signal_process(child_.pidfd, signal);
    kill(-child_.pid, signal);
  }
  if (server_.lives() && wrapped()) signal_process(server_.pidfd, signal);
}

void ReplicaProcess::add_poll_entries(std::vector<pollfd>* entries) const {
  if (!runs_) return;
  if (child_.lives()) entries->push_back({child_.pidfd.get(), POLLIN, 0});
  if (wrapped() && server_.lives()) entries->push_back({server_.pidfd.get(), POLLIN, 0});
}

std::optional<int> ReplicaProcess::server_status() const {
  return server_.pid != 0 ? server_.status : child_.status;
}

std::optional<int> ReplicaProcess::child_status() const {
  return child_.pid != 0 ? child_.status : server_.status;
}

}  // namespace auxin::supervisor
