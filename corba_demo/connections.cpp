// SPDX-License-Identifier: Apache-2.0
#include "connections.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <omniORB4/CORBA.h>
#include <omniORB4/omniInterceptors.h>

namespace bank {

namespace {

std::atomic<unsigned>* connect_count = nullptr;

CORBA::Boolean on_connect(omni::omniInterceptors::clientOpenConnection_T::info_T&) {
  connect_count->fetch_add(1);
  return true;
}

std::string text_of(const sockaddr_in& address) {
  char host[INET_ADDRSTRLEN] = "";
  inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
  return std::string(host) + ":" + std::to_string(ntohs(address.sin_port));
}

// Empty if the descriptor is not a connected IPv4 socket.
std::string connection_text(int fd) {
  sockaddr_in local{}, peer{};
  socklen_t local_size = sizeof local, peer_size = sizeof peer;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &local_size) != 0 ||
      getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0 ||
      peer.sin_family != AF_INET) {
    return "";
  }
  return text_of(local) + "-" + text_of(peer);
}

}  // namespace

void count_connects(std::atomic<unsigned>& count) {
  connect_count = &count;
  omniORB::getInterceptors()->clientOpenConnection.add(on_connect);
}

ClientLog::Connections open_connections() {
  std::vector<std::string> texts;
  if (DIR* const directory = opendir("/proc/self/fd")) {
    while (const dirent* const entry = readdir(directory)) {
      const std::string text = connection_text(std::atoi(entry->d_name));
      if (!text.empty() && entry->d_name[0] != '.') texts.push_back(text);
    }
    closedir(directory);
  }
  std::sort(texts.begin(), texts.end());
  ClientLog::Connections result{};
  result.count = static_cast<unsigned>(texts.size());
  for (size_t i = 0; i < texts.size() && i < ClientLog::kKeptConnectionCount; ++i) {
    std::snprintf(result.text[i], sizeof result.text[i], "%s", texts[i].c_str());
  }
  return result;
}

bool same_connections(const ClientLog::Connections& a, const ClientLog::Connections& b) {
  return a.count == b.count && std::memcmp(a.text, b.text, sizeof a.text) == 0;
}

}  // namespace bank
