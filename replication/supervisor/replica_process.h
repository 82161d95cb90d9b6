// SPDX-License-Identifier: Apache-2.0
//
// The processes of one replica, as its supervisor watches them.
//
// What the supervisor starts (the child) is usually the server itself. It may also be a wrapper
// (`sh -c`, `env`, `setsid`) whose descendant becomes the replica and enters its pid in the
// replica's slot; then both are watched. After a change of supervisors neither is a child of ours.
//
//   the replica runs while its server runs, or its child while no server is known
//
// Thread safety: one thread.
#pragma once

#include <poll.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "replication/group_state.h"
#include "replication/supervisor/back_off.h"
#include "replication/supervisor/descriptor.h"

namespace auxin::supervisor {

class ReplicaProcess {
 public:
  // A child of ours has been started.
  void started(int child_pid, int64_t now_ms);
  // A replica that another supervisor started runs; a pid may be 0.
  void adopted(int child_pid, int server_pid, int64_t now_ms);

  // waitpid() gave this status for a child or a descendant of ours.
  void reaped(const replication::ReplicaSlot& slot, int pid, int wait_status);
  // Looks at the slot and the processes. True: the replica has just ended. A wrapper that outlives
  // its server is killed after a second, unless `patient`.
  bool look(const replication::ReplicaSlot& slot, bool patient, int64_t now_ms);

  bool runs() const { return runs_; }
  // Whom a signal for the server goes to: its pid, or minus the child's process group while the
  // server is not known; 0: nobody.
  int signal_target() const;
  int server_pid() const { return server_.pid; }
  // Of the server's process while it runs; -1: not known.
  int server_pidfd() const {
    return server_.pidfd.valid() ? server_.pidfd.get() : child_.pidfd.get();
  }
  // The server is not what we started: its wrapper's status says little about it.
  bool wrapped() const { return server_.pid != 0 && server_.pid != child_.pid; }
  void signal_all(int signal) const;
  void add_poll_entries(std::vector<pollfd>* entries) const;
  // Something of it is expected to change within milliseconds.
  bool in_transition() const { return runs_ && (server_ended_at_ms_ != 0 || child_.ended()); }

  // Of an ended replica. How the server ended; nothing: not known.
  std::optional<int> server_status() const;
  // How what we started ended, as a shell would tell it; nothing: not known.
  std::optional<int> child_status() const;

  int64_t lived_ms(int64_t now_ms) const { return now_ms - started_at_ms_; }

  BackOff back_off;
  std::optional<int64_t> restart_at_ms;

 private:
  struct Watched {
    int pid = 0;
    Descriptor pidfd;
    std::optional<int> status;
    bool gone = false;
    bool ended() const { return pid != 0 && gone; }
    bool lives() const { return pid != 0 && !gone; }
    void watch(int new_pid);
    void look();
  };

  Watched child_, server_;
  bool runs_ = false;
  int64_t started_at_ms_ = 0;
  int64_t server_ended_at_ms_ = 0;
};

}  // namespace auxin::supervisor
