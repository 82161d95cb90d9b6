// SPDX-License-Identifier: Apache-2.0
#include "ferry/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <system_error>

#include "ferry/annotations.h"

namespace ferry {
namespace {

constexpr int kWorkers = 4;
constexpr auto kBeat = std::chrono::milliseconds(200);
constexpr uint32_t kMostIdleBeats = 1500;  // five minutes

void require(bool good, const char* what) {
  if (!good) throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

void RequestQueue::put(Request request) {
  Holding hold(lock_);
  requests_.push_back(std::move(request));
  filled_.give();
}

Request RequestQueue::take() {
  Holding hold(lock_);
  while (requests_.empty()) filled_.await(lock_);
  Request request = std::move(requests_.front());
  requests_.pop_front();
  return request;
}

Server::Server(uint16_t port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  require(listener_ >= 0, "socket");
  const int yes = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  require(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
  require(listen(listener_, 64) == 0, "listen");
  socklen_t size = sizeof address;
  require(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
  port_ = ntohs(address.sin_port);
}

void Server::run() {
  for (int i = 0; i < kWorkers; ++i) {
    std::thread([this] {
      for (;;) {
        Request request = queue_.take();
        serve(request);
      }
    }).detach();
  }
  std::thread([this] {
    for (;;) {
      std::this_thread::sleep_for(kBeat);
      beat();
    }
  }).detach();
  std::thread poller([this] {
    for (;;) poll_once();
  });
  poller.join();
  abort();  // it never ends
}

void Server::serve(Request& request) {
  FERRY_WORKS_FOR(request.connection->fd(), request.id);
  const std::shared_ptr<Servant> servant = registry_.find(request.key);
  Input arguments(request.arguments);
  Output results;
  bool good = false;
  if (servant != nullptr) {
    FERRY_JOIN_POINT("upcall", AUXIN_ROLE_UPCALL, servant.get());
    good = servant->call(request.operation, arguments, results);
  }
  if (!request.one_way) {
    request.connection->reply(request.id, good ? 0 : 1, good ? results.bytes() : "");
  }
  Holding hold(statistics_lock_);
  ++(good ? served_ : refused_);
}

void Server::poll_once() {
  std::vector<pollfd> looked{{listener_, POLLIN, 0}};
  std::vector<std::shared_ptr<Connection>> connections;
  {
    Holding hold(connections_lock_);
    for (const auto& [fd, connection] : connections_) {
      looked.push_back({fd, POLLIN, 0});
      connections.push_back(connection);
    }
  }
  if (poll(looked.data(), looked.size(), -1) < 0) return;
  for (size_t i = 0; i < connections.size(); ++i) {
    if (looked[i + 1].revents == 0) continue;
    if (connections[i]->read([this](Request request) { queue_.put(std::move(request)); })) continue;
    Holding hold(connections_lock_);
    connections_.erase(connections[i]->fd());
  }
  if (looked[0].revents != 0) accept_all();
}

void Server::accept_all() {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && errno == EINTR) continue;
    if (fd < 0) return;
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    Holding hold(connections_lock_);
    connections_[fd] = std::make_shared<Connection>(fd);
  }
}

// The poller then reads the end of the connection, in every replica.
void Server::beat() {
  Holding hold(connections_lock_);
  for (const auto& [fd, connection] : connections_) {
    connection->beat();
    if (connection->idle_beats() > kMostIdleBeats && FERRY_MAY("scavenge")) {
      shutdown(fd, SHUT_RDWR);
    }
  }
}

}  // namespace ferry
