// SPDX-License-Identifier: Apache-2.0
//
// A link between a client and a server that does what bad links do: it is cut after so many bytes
// (of both directions together), or turns bits.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "checkpoint/transport/connection.h"

namespace auxin::checkpoint::test {

class BreakingLink {
 public:
  BreakingLink(const std::string& directory, const std::string& server)
      : server_(*Address::parse(server)), address_("unix:" + directory + "/link") {
    listener_ = *listen_at(*Address::parse(address_));
    thread_ = std::thread([this] { serve(); });
  }
  BreakingLink(const BreakingLink&) = delete;
  BreakingLink& operator=(const BreakingLink&) = delete;
  ~BreakingLink() {
    ends_ = true;
    thread_.join();
    close(listener_);
  }
  const std::string& address() const { return address_; }
  // Every connection; 0: none.
  void cut_after(uint64_t bytes) { cut_after_ = bytes; }
  // One in each so many bytes, at random; 0: none.
  void turn_a_bit_each(uint64_t bytes) { turn_each_ = bytes; }

 private:
  void serve() {
    while (!ends_) {
      pollfd entry{listener_, POLLIN, 0};
      if (poll(&entry, 1, 20) <= 0) continue;
      const int client = accept(listener_, nullptr, nullptr);
      const Expected<int> server = Connection::connect(server_, 1000);
      if (client >= 0 && server) carry(client, *server);
      if (client >= 0) close(client);
      if (server) close(*server);
    }
  }

  // One connection at a time: a client has no more.
  void carry(int client, int server) {
    uint64_t carried = 0;
    while (!ends_) {
      pollfd entries[3] = {{client, POLLIN, 0}, {server, POLLIN, 0}, {listener_, POLLIN, 0}};
      if (poll(entries, 3, 20) <= 0) continue;
      bool any = false;
      for (int i = 0; i < 2; ++i) {
        if (entries[i].revents == 0) continue;
        any = true;
        uint8_t bytes[512];
        const uint64_t limit = cut_after_;
        const uint64_t room = limit == 0 ? sizeof(bytes) : std::min(limit - carried, sizeof(bytes));
        const ssize_t got = recv(entries[i].fd, bytes, room, MSG_DONTWAIT);
        if (got <= 0) return;
        carried += static_cast<uint64_t>(got);
        for (ssize_t at = 0; turn_each_ != 0 && at < got; ++at) {
          if (random_() % turn_each_ == 0) bytes[at] ^= static_cast<uint8_t>(1 << random_() % 8);
        }
        if (!pass(i == 0 ? server : client, bytes, got)) return;
        if (limit != 0 && carried >= limit) return;
      }
      if (!any && entries[2].revents != 0) return;  // the client has come again
    }
  }
  bool pass(int to, const uint8_t* bytes, ssize_t count) {
    while (count > 0 && !ends_) {
      const ssize_t put = send(to, bytes, static_cast<size_t>(count), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (put < 0 && errno == EAGAIN) {
        pollfd entry{to, POLLOUT, 0};
        poll(&entry, 1, 20);
        continue;
      }
      if (put < 0) return false;
      bytes += put;
      count -= put;
    }
    return true;
  }

  const Address server_;
  const std::string address_;
  int listener_;
  std::mt19937_64 random_{11};
  std::atomic<uint64_t> cut_after_{0}, turn_each_{0};
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

}  // namespace auxin::checkpoint::test
