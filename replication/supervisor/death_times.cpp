// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/death_times.h"

#include <arpa/inet.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>

namespace auxin::supervisor {
namespace {

constexpr size_t kEventOffset = NLMSG_HDRLEN + offsetof(cn_msg, data);
constexpr size_t kWhatOffset = kEventOffset + offsetof(proc_event, what);
constexpr size_t kTimeOffset = kEventOffset + offsetof(proc_event, timestamp_ns);
constexpr size_t kProcessOffset =
    kEventOffset + offsetof(proc_event, event_data.exit.process_tgid);
constexpr size_t kCodeOffset = kEventOffset + offsetof(proc_event, event_data.exit.exit_code);
constexpr uint32_t kExit = 0x80000000;  // PROC_EVENT_EXIT, whose enumeration has moved
constexpr size_t kMostRemembered = 64;

// Asks for the events. False: not permitted, or there is no such thing here.
bool subscribe(int socket) {
  struct {
    nlmsghdr header;
    char message[sizeof(cn_msg) + sizeof(uint32_t)];
  } request{};
  cn_msg message{};
  message.id = {CN_IDX_PROC, CN_VAL_PROC};
  message.len = sizeof(uint32_t);
  const uint32_t operation = PROC_CN_MCAST_LISTEN;
  memcpy(request.message, &message, sizeof(message));
  memcpy(request.message + sizeof(message), &operation, sizeof(operation));
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof(request.message));
  request.header.nlmsg_type = NLMSG_DONE;
  return send(socket, &request, request.header.nlmsg_len, 0) ==
         static_cast<ssize_t>(request.header.nlmsg_len);
}

template <typename T>
T field(const char* datagram, size_t offset) {
  T value;
  memcpy(&value, datagram + offset, sizeof(value));
  return value;
}

}  // namespace

DeathTimes::DeathTimes()
    : socket_(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR)) {
  if (!socket_.valid()) return;
  watch({});
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = CN_IDX_PROC;
  if (bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      !subscribe(socket_.get())) {
    socket_.reset();
  }
}

// An end of a thread of one of these processes passes; the filter sees numbers in network order.
void DeathTimes::watch(const std::vector<int>& pids) {
  if (!socket_.valid() || (pids == watched_ && !pids.empty())) return;
  for (const int pid : pids) {  // a number may have had another process before
    if (std::find(watched_.begin(), watched_.end(), pid) == watched_.end()) died_ns_.erase(pid);
  }
  watched_ = pids;
  std::vector<sock_filter> program;
  const auto load = [&](size_t offset) {
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
  };
  load(kWhatOffset);
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(kExit), 1, 0));
  program.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
  load(kProcessOffset);
  for (const int pid : pids) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(static_cast<uint32_t>(pid)), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, 0xffffffff));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (setsockopt(socket_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) != 0)
    socket_.reset();
}

void DeathTimes::read() {
  if (!socket_.valid()) return;
  char datagram[512];
  sockaddr_nl sender{};
  socklen_t length = sizeof(sender);
  ssize_t size;
  while ((size = recvfrom(socket_.get(), datagram, sizeof(datagram), MSG_DONTWAIT,
                          reinterpret_cast<sockaddr*>(&sender), &length)) > 0) {
    if (sender.nl_pid != 0 || static_cast<size_t>(size) < kCodeOffset + sizeof(uint32_t) ||
        field<uint32_t>(datagram, kWhatOffset) != kExit ||
        field<uint32_t>(datagram, kCodeOffset) == 0)  // a thread that merely returned
      continue;
    if (died_ns_.size() >= kMostRemembered) died_ns_.erase(died_ns_.begin());
    died_ns_.emplace(field<int>(datagram, kProcessOffset), field<uint64_t>(datagram, kTimeOffset));
  }
}

uint64_t DeathTimes::of(int pid) const {
  const auto found = died_ns_.find(pid);
  return found == died_ns_.end() ? 0 : found->second;
}

}  // namespace auxin::supervisor
