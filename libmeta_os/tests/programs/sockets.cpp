// SPDX-License-Identifier: Apache-2.0
//
// Sockets over loopback. Preloaded with meta-objects (AUXIN_TEST_SOCKETS=reify) every connection
// here is one: bind makes the listener's, accept and connect the connections'.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include <vector>

#include "program.h"

using namespace programs;

extern "C" {
ssize_t __read_chk(int, void*, size_t, size_t);
ssize_t __recv_chk(int, void*, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void*, size_t, size_t, int, sockaddr*, socklen_t*);
int __poll_chk(pollfd*, nfds_t, int, size_t);
int __ppoll_chk(pollfd*, nfds_t, const timespec*, const sigset_t*, size_t);
}

namespace {

sockaddr_in loopback() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

sockaddr* any(sockaddr_in* address) { return reinterpret_cast<sockaddr*>(address); }

// A listener and one connection to it.
struct Connection {
  int listener = -1, client = -1, server = -1;
  sockaddr_in address = loopback();

  explicit Connection(bool with_accept4 = false) {
    socklen_t length = sizeof(address);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    say_errno("bind", bind(listener, any(&address), length));
    say_errno("listen", listen(listener, 5));
    say_errno("getsockname", getsockname(listener, any(&address), &length));
    client = socket(AF_INET, SOCK_STREAM, 0);
    say_errno("connect", connect(client, any(&address), length));
    sockaddr_in peer{};
    length = sizeof(peer);
    server = with_accept4 ? accept4(listener, any(&peer), &length, SOCK_CLOEXEC)
                          : accept(listener, any(&peer), &length);
    say("accepted", server >= 0);
    say("peer is loopback", peer.sin_addr.s_addr == address.sin_addr.s_addr);
  }
  ~Connection() {
    for (const int fd : {client, server, listener}) {
      if (fd >= 0) say_errno("close", close(fd));
    }
  }
};

void print(const char* what, const char* bytes, ssize_t count) {
  printf("%s: %zd %.*s\n", what, count, static_cast<int>(count < 0 ? 0 : count), bytes);
}

void wait_readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  poll(&entry, 1, -1);
}

}  // namespace

PROGRAM(socket_transfers) {
  Connection it;
  char buffer[64];
  say_errno("send", send(it.client, "hello", 5, 0));
  wait_readable(it.server);
  print("recv peek", buffer, recv(it.server, buffer, 64, MSG_PEEK));
  print("recv", buffer, recv(it.server, buffer, 64, 0));
  say_errno("sendto", sendto(it.client, "again", 5, 0, nullptr, 0));
  sockaddr_in from{};
  socklen_t length = sizeof(from);
  print("recvfrom", buffer, recvfrom(it.server, buffer, 64, 0, any(&from), &length));
  say_errno("write", write(it.client, "written", 7));
  print("read", buffer, read(it.server, buffer, 64));
  iovec parts[] = {{const_cast<char*>("ab"), 2}, {const_cast<char*>("cde"), 3}};
  say_errno("writev", writev(it.client, parts, 2));
  char one[2], two[8];
  iovec into[] = {{one, 2}, {two, 8}};
  say_errno("readv", readv(it.server, into, 2));
  print("readv first", one, 2);
  print("readv second", two, 3);
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  say_errno("sendmsg", sendmsg(it.client, &message, MSG_NOSIGNAL));
  message.msg_iov = into;
  say_errno("recvmsg", recvmsg(it.server, &message, 0));
  say_errno("recv, nothing there", recv(it.server, buffer, 64, MSG_DONTWAIT));
  say_errno("shutdown", shutdown(it.client, SHUT_WR));
  say_errno("recv at the end", recv(it.server, buffer, 64, 0));
  say_errno("send after it", send(it.client, "x", 1, MSG_NOSIGNAL));
  say_errno("recv bad", recv(-1, buffer, 64, 0));
  say_errno("recv bad", recv(1000000, buffer, 64, 0));
}

PROGRAM(socket_fortified_transfers) {
  Connection it(true);
  char buffer[64];
  write(it.client, "123456789", 9);
  wait_readable(it.server);
  print("read", buffer, __read_chk(it.server, buffer, 3, sizeof(buffer)));
  print("recv", buffer, __recv_chk(it.server, buffer, 3, sizeof(buffer), 0));
  print("recvfrom", buffer,
        __recvfrom_chk(it.server, buffer, 3, sizeof(buffer), 0, nullptr, nullptr));
  pollfd entry{it.server, POLLIN | POLLOUT, 0};
  const timespec none{};
  say_errno("poll", __poll_chk(&entry, 1, 0, sizeof(entry)));
  say("revents", entry.revents);
  say_errno("ppoll", __ppoll_chk(&entry, 1, &none, nullptr, sizeof(entry)));
  say("revents", entry.revents);
  say("close-on-exec", fcntl(it.server, F_GETFD));
}

PROGRAM(socket_many_messages) {
  Connection it;
  char bytes[] = "abcdef";
  iovec parts[3] = {{bytes, 1}, {bytes + 1, 2}, {bytes + 3, 3}};
  mmsghdr messages[3]{};
  for (int i = 0; i < 3; ++i) messages[i].msg_hdr = {nullptr, 0, &parts[i], 1, nullptr, 0, 0};
  say_errno("sendmmsg", sendmmsg(it.client, messages, 3, 0));
  for (const mmsghdr& each : messages) say("sent", each.msg_len);
  char into[3][2];
  iovec places[3];
  for (int i = 0; i < 3; ++i) {
    places[i] = {into[i], 2};
    messages[i].msg_hdr = {nullptr, 0, &places[i], 1, nullptr, 0, 0};
  }
  wait_readable(it.server);
  timespec timeout{5, 0};
  say_errno("recvmmsg", recvmmsg(it.server, messages, 3, 0, &timeout));
  for (int i = 0; i < 3; ++i) print("received", into[i], messages[i].msg_len);
  say_errno("recvmmsg, nothing there", recvmmsg(it.server, messages, 3, MSG_DONTWAIT, nullptr));
}

PROGRAM(socket_options) {
  Connection it;
  int value = 1;
  socklen_t length = sizeof(value);
  say_errno("setsockopt", setsockopt(it.server, IPPROTO_TCP, TCP_NODELAY, &value, length));
  value = 0;
  say_errno("getsockopt", getsockopt(it.server, IPPROTO_TCP, TCP_NODELAY, &value, &length));
  say("no delay", value != 0);
  say_errno("bad option", getsockopt(it.server, 99, 99, &value, &length));
  sockaddr_in peer{};
  length = sizeof(peer);
  say_errno("getpeername", getpeername(it.client, any(&peer), &length));
  say("same port", peer.sin_port == it.address.sin_port);
  say_errno("getpeername of the listener", getpeername(it.listener, any(&peer), &length));
  const int flags = fcntl(it.server, F_GETFL);
  say_errno("set non-blocking", fcntl(it.server, F_SETFL, flags | O_NONBLOCK));
  char byte;
  say_errno("recv", recv(it.server, &byte, 1, 0));
  say_errno("accept, nothing there",
            (fcntl(it.listener, F_SETFL, O_NONBLOCK), accept(it.listener, nullptr, nullptr)));
  send(it.client, "abc", 3, 0);
  wait_readable(it.server);
  int available = 0;
  say_errno("ioctl", ioctl(it.server, FIONREAD, &available));
  say("available", available);
  say_errno("fcntl64", fcntl64(it.server, F_GETFD));
  int pair[2];
  say_errno("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  say_errno("write", write(pair[0], "x", 1));
  say_errno("read", read(pair[1], &byte, 1));
  close(pair[0]);
  close(pair[1]);
}

PROGRAM(socket_duplicates) {
  Connection it;
  const int a = dup(it.server);
  const int b = dup2(it.server, 200);
  const int c = dup3(it.server, 201, O_CLOEXEC);
  const int d = fcntl(it.server, F_DUPFD, 300);
  const int e = fcntl(it.server, F_DUPFD_CLOEXEC, 400);
  printf("numbers: %d %d %d %d\n", b, c, d, e);
  say_errno("dup2 same", dup2(it.server, it.server) == it.server);
  say_errno("dup3 same", dup3(it.server, it.server, 0));
  say_errno("dup bad", dup(-1));
  say_errno("dup2 bad", dup2(999, 200));
  send(it.client, "12345", 5, 0);
  wait_readable(a);
  char byte;
  for (const int fd : {a, b, c, d, e}) print("read", &byte, read(fd, &byte, 1));
  say_errno("close", close(it.server));
  send(it.client, "6", 1, 0);
  print("read", &byte, read(b, &byte, 1));
  for (const int fd : {a, b, c}) say_errno("close", close(fd));
  say_errno("close again", close(b));
  say_errno("close_range", close_range(d, e, 0));
  say_errno("end", recv(it.client, &byte, 1, 0));
  it.server = -1;
  // A number that is a connection's gets a new meaning.
  Connection other;
  int ends[2];
  say_errno("pipe", pipe(ends));
  say("dup2 over it", dup2(ends[0], other.server) == other.server);
  say_errno("end of the other", recv(other.client, &byte, 1, 0));
  say_errno("write", write(ends[1], "p", 1));
  print("read", &byte, read(other.server, &byte, 1));
  close(ends[0]);
  close(ends[1]);
}

PROGRAM(descriptors_closed_from) {
  auto* const it = new Connection;
  const int client = dup2(it->client, 100);
  close(it->client);
  dup2(it->server, 600);
  closefrom(500);
  say_errno("closed", fcntl(600, F_GETFD));
  say_errno("open", fcntl(it->server, F_GETFD) >= 0);
  say_errno("mark only", close_range(it->server, it->server, 4 /* CLOSE_RANGE_CLOEXEC */));
  say("close-on-exec", fcntl(it->server, F_GETFD));
  send(client, "x", 1, 0);
  char byte;
  print("read", &byte, read(it->server, &byte, 1));
}

PROGRAM(socket_sendfile) {
  Connection it;
  char path[] = "/tmp/auxin-hook-program-XXXXXX";
  const int file = mkstemp(path);
  unlink(path);
  std::string text;
  for (int i = 0; i < 5000; ++i) text += std::to_string(i) + ",";
  write(file, text.data(), text.size());
  off_t offset = 10;
  say_errno("sendfile", sendfile(it.client, file, &offset, 20000));
  say("offset", offset);
  lseek(file, 100, SEEK_SET);
  say_errno("sendfile64", sendfile64(it.client, file, nullptr, 100));
  say("position", lseek(file, 0, SEEK_CUR));
  shutdown(it.client, SHUT_WR);
  std::string received;
  char buffer[4096];
  for (ssize_t got; (got = read(it.server, buffer, sizeof(buffer))) > 0;)
    received.append(buffer, got);
  say("first part", received.substr(0, 20000) == text.substr(10, 20000));
  say("second part", received.substr(20000) == text.substr(100, 100));
  close(file);
}

PROGRAM(poll_forms) {
  Connection it;
  pollfd entries[] = {
      {it.server, POLLIN, 0}, {-1, POLLIN, 7}, {it.client, POLLOUT, 0}, {999, POLLIN, 0}};
  say_errno("poll", poll(entries, 4, -1));
  for (const pollfd& each : entries) say("revents", each.revents);
  say_errno("poll in vain", poll(entries, 1, 5));
  send(it.client, "x", 1, 0);
  const timespec long_time{60, 0};
  say_errno("ppoll", ppoll(entries, 1, &long_time, nullptr));
  say("revents", entries[0].revents);
  const timespec bad{0, -1};
  say_errno("ppoll, bad time", ppoll(entries, 1, &bad, nullptr));
}

PROGRAM(select_forms) {
  Connection it;
  fd_set readable, writable, strange;
  const auto fill = [&] {
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_ZERO(&strange);
    for (const int fd : {it.server, it.client}) {
      FD_SET(fd, &readable);
      FD_SET(fd, &writable);
      FD_SET(fd, &strange);
    }
  };
  const auto show = [&] {
    for (const int fd : {it.server, it.client}) {
      printf("  %d%d%d\n", FD_ISSET(fd, &readable) != 0, FD_ISSET(fd, &writable) != 0,
             FD_ISSET(fd, &strange) != 0);
    }
  };
  send(it.client, "x", 1, 0);
  wait_readable(it.server);
  fill();
  timeval timeout{60, 0};
  say_errno("select", select(FD_SETSIZE, &readable, &writable, &strange, &timeout));
  say("time is left", timeout.tv_sec == 59 || timeout.tv_sec == 60);
  show();
  send(it.client, "!", 1, MSG_OOB);
  pollfd urgent{it.server, POLLPRI, 0};
  poll(&urgent, 1, -1);
  fill();
  say_errno("select", select(FD_SETSIZE, &readable, nullptr, &strange, nullptr));
  show();
  char bytes[8];
  recv(it.server, bytes, 1, 0);
  recv(it.server, bytes, 1, MSG_OOB);
  fill();
  FD_CLR(it.client, &readable);
  timeout = {0, 5000};
  say_errno("select in vain", select(FD_SETSIZE, &readable, nullptr, nullptr, &timeout));
  say("time left", timeout.tv_sec * 1'000'000 + timeout.tv_usec);
  say("bits left", FD_ISSET(it.server, &readable) != 0);
  fill();
  FD_SET(60, &readable);  // beyond 63 Linux may not look at a descriptor that is not open
  say_errno("select, bad descriptor", select(FD_SETSIZE, &readable, nullptr, nullptr, nullptr));
  say("sets untouched", FD_ISSET(60, &readable) != 0);
  timeout = {-1, 0};
  say_errno("select, bad time", select(FD_SETSIZE, &readable, nullptr, nullptr, &timeout));
  fill();
  const timespec soon{60, 0};
  say_errno("pselect", pselect(it.client + 1, &readable, &writable, nullptr, &soon, nullptr) > 0);
}

PROGRAM(epoll_forms) {
  Connection it;
  say("epoll_create", close(epoll_create(1)));
  const int fd = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = 77;
  say_errno("add", epoll_ctl(fd, EPOLL_CTL_ADD, it.server, &event));
  say_errno("add again", epoll_ctl(fd, EPOLL_CTL_ADD, it.server, &event));
  epoll_event events[4]{};
  say_errno("wait in vain", epoll_wait(fd, events, 4, 5));
  send(it.client, "x", 1, 0);
  say_errno("wait", epoll_wait(fd, events, 4, -1));
  printf("%u %lu\n", events[0].events, events[0].data.u64);
  const int twin = dup(fd);
  say_errno("pwait", epoll_pwait(twin, events, 4, 60'000, nullptr));
  const timespec soon{60, 0};
  say_errno("pwait2", epoll_pwait2(fd, events, 4, &soon, nullptr));
  say_errno("bad capacity", epoll_wait(fd, events, 0, 0));
  event.events = EPOLLOUT;
  say_errno("modify", epoll_ctl(fd, EPOLL_CTL_MOD, it.server, &event));
  say_errno("wait", epoll_wait(fd, events, 4, -1));
  say_errno("remove", epoll_ctl(fd, EPOLL_CTL_DEL, it.server, nullptr));
  say_errno("wait in vain", epoll_wait(fd, events, 4, 1));
  close(fd);
  close(twin);
  say_errno("wait closed", epoll_wait(fd, events, 4, 0));
}

PROGRAM(descriptors_of_other_kinds) {
  int ends[2];
  say_errno("pipe2", pipe2(ends, O_NONBLOCK));
  char buffer[8];
  say_errno("read", read(ends[0], buffer, 8));
  say_errno("write", write(ends[1], "abc", 3));
  print("read", buffer, read(ends[0], buffer, 8));
  const int event = eventfd(5, 0);
  unsigned long number = 0;
  say_errno("read", read(event, &number, 8));
  say("event", static_cast<long>(number));
  const int timer = timerfd_create(CLOCK_MONOTONIC, 0);
  const itimerspec soon{{0, 0}, {0, 1'000'000}};
  itimerspec left{};
  say_errno("settime", timerfd_settime(timer, 0, &soon, nullptr));
  say_errno("read", read(timer, &number, 8));
  say("expirations", static_cast<long>(number));
  say_errno("gettime", timerfd_gettime(timer, &left));
  say("left", left.it_value.tv_sec + left.it_value.tv_nsec);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  sigprocmask(SIG_BLOCK, &mask, nullptr);
  const int signals = signalfd(-1, &mask, 0);
  raise(SIGUSR1);
  signalfd_siginfo info{};
  say_errno("read", read(signals, &info, sizeof(info)));
  say("signal", info.ssi_signo);
  say_errno("same", signalfd(signals, &mask, 0) == signals);
  for (const int fd : {ends[0], ends[1], event, timer, signals}) close(fd);
}
