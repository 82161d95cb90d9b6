// SPDX-License-Identifier: Apache-2.0
//
// The member that serves. It carries out a batch of requests, captures what they changed, sends
// this one increment to every backup, waits until each has it, and then answers.
//
// A backup that breaks or is too slow leaves the view before the next answer. Who joins gets the
// image as a base: what the group has, and increments follow it.
#pragma once

#include <list>
#include <vector>

#include "accounts.h"
#include "auxin/checkpoint.h"
#include "group_view.h"
#include "local_socket.h"

namespace server_group {

class Primary {
 public:
  // `image`: what the group had; empty: the group is founded. The caller holds the primary's lock.
  Primary(const GroupDirectory& directory, uint64_t member, uint32_t batch,
          auxin::checkpoint::ReceivedImage image);
  [[noreturn]] void serve();

 private:
  struct Backup {
    uint64_t member;
    Socket socket;
  };
  struct Reply {
    size_t client;
    Answer answer;
  };

  bool may_answer();
  void accept();
  void admit(Backup backup);
  void do_batch(const std::vector<size_t>& ready);
  void send_to_backups(const auxin::checkpoint::Message& increment);
  void write_view();

  const GroupDirectory& directory_;
  const uint64_t member_;
  const uint32_t batch_;
  View view_;
  bool view_changed_ = false;
  Socket listener_;
  std::vector<Socket> clients_;
  std::list<Backup> backups_;
  int64_t patience_ends_ms_ = 0;
  auxin::checkpoint::State state_;
  auxin::checkpoint::ReceivedImage image_;
};

}  // namespace server_group
