// SPDX-License-Identifier: Apache-2.0
//
// Connections between the processes, and the loop. Of two processes the one with the higher number
// connects. Whoever hears of a new connection forgets the old one, unread: what the dead sent last
// and nobody has read, nobody depends on, and its successor will not hear of.
#include <poll.h>
#include <sys/socket.h>

#include <cinttypes>
#include <cstdio>

#include "manetho.h"

namespace manetho {

void Process::connect() {
  for (uint32_t i = 0; i < self_; ++i) {
    if (peers_[i].link.is_open()) continue;
    const int socket = connect_to(directory_ + "/process-" + std::to_string(i));
    if (socket < 0) continue;
    peers_[i].link = Link(socket);
    introduce(i);
  }
}

void Process::accept(int listener) {
  const int socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (socket >= 0) newcomers_.emplace_back(socket);
}

void Process::read_newcomer(size_t index) {
  const bool is_there = newcomers_[index].read_some();
  Frame hello;
  if (newcomers_[index].next(&hello)) {
    const uint32_t from = hello.header.from;
    demand(hello.header.kind == Kind::kHello && from > self_ && from < kProcesses,
           "a stranger has connected");
    Peer& peer = peers_[from];
    peer.link = std::move(newcomers_[index]);
    peer.is_introduced = false;
    introduce(from);
    handle(from, hello);
    read_from(from);
  }
  if (!is_there || !newcomers_[index].is_open()) {
    newcomers_.erase(newcomers_.begin() + static_cast<std::ptrdiff_t>(index));
  }
}

void Process::read_from(uint32_t index) {
  Peer& peer = peers_[index];
  const bool is_there = peer.link.read_some();
  for (Frame frame; peer.link.next(&frame);) {
    demand(frame.header.from == index, "a frame of another process");
    handle(index, frame);
  }
  if (is_there) return;
  peer.link.close();
  peer.is_introduced = false;
}

void Process::run(int end) {
  const int listener = listen_at(directory_ + "/process-" + std::to_string(self_));
  demand(listener >= 0, "it can't listen in its directory");
  for (uint64_t said = UINT64_MAX;;) {
    connect();
    uint32_t from = 0;
    const bool receives = can_receive(&from);
    if (receives) receive(from);
    commit_outputs();
    if (!receives && said != state_.interval) {
      said = state_.interval;
      printf("waits %" PRIu64 "\n", said);
    }
    std::vector<pollfd> ready{{end, POLLIN, 0}, {listener, POLLIN, 0}};
    bool is_alone = false;
    for (uint32_t i = 0; i < kProcesses; ++i) {
      Peer& peer = peers_[i];
      if (peer.link.is_open() && !peer.link.write_some()) {
        read_from(i);  // what it had sent before it died; then the link is closed
      }
      is_alone = is_alone || (i < self_ && !peer.link.is_open());
      const short events = peer.link.has_output() ? POLLIN | POLLOUT : POLLIN;
      ready.push_back({peer.link.is_open() ? peer.link.socket() : -1, events, 0});
    }
    for (const Link& each : newcomers_) ready.push_back({each.socket(), POLLIN, 0});
    if (poll(ready.data(), ready.size(), receives ? 0 : is_alone ? 5 : -1) <= 0) continue;
    if (ready[0].revents != 0) return;
    for (size_t i = newcomers_.size(); i-- > 0;) {
      if (ready[2 + kProcesses + i].revents != 0) read_newcomer(i);
    }
    for (uint32_t i = 0; i < kProcesses; ++i) {
      // Unless it is another link by now.
      if ((ready[2 + i].revents & ~POLLOUT) != 0 && peers_[i].link.socket() == ready[2 + i].fd) {
        read_from(i);
      }
    }
    if (ready[1].revents != 0) accept(listener);
  }
}

}  // namespace manetho
