// SPDX-License-Identifier: Apache-2.0
#include "stmemu/isolated/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <climits>
#include <new>

#include "stmemu/file.h"

namespace auxin::stm {
namespace {

// Of a wait for a reply, before it sleeps: about 25 µs, several times what a commit takes. If the
// controller has no processor but this one, every spin keeps it from answering.
constexpr int kSpins = 400;
constexpr long kSleepSlice_ns = 1'000'000;
constexpr uint64_t kAskAgain_ms = 20;       // between attempts to reach a new controller

uint64_t now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

bool send_hello(int socket, const Hello& hello, int descriptor) {
  iovec bytes = {const_cast<Hello*>(&hello), sizeof(hello)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(rights), &descriptor, sizeof(int));
  return sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof(hello));
}

}  // namespace

std::string controller_socket_path(const std::string& memory_path) {
  return memory_path + ".controller";
}

Result<std::unique_ptr<Connection>> Connection::make(const std::string& path, uint64_t bank_bytes,
                                                     uint64_t seed, Board* board) {
  std::unique_ptr<Connection> connection(new Connection);
  connection->path_ = path;
  connection->bank_bytes_ = bank_bytes;
  connection->seed_ = seed;
  connection->board_ = board;
  const uint64_t size = session_bytes(bank_bytes);
  connection->memory_ = memfd_create("auxin-stm-session", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (connection->memory_ < 0 || ftruncate(connection->memory_, static_cast<off_t>(size)) != 0) {
    return file_error(path, "no memory for a session", errno);
  }
  // The controller maps it and must never fault there.
  fcntl(connection->memory_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  void* session = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, connection->memory_, 0);
  if (session == MAP_FAILED) return file_error(path, "a session can't be mapped", errno);
  connection->session_ = static_cast<char*>(session);
  madvise(session, size, MADV_DONTFORK);
  new (session) SessionHeader{kSessionVersion, static_cast<uint32_t>(getpid()), bank_bytes};
  const Result<bool> connected = connection->connect();
  if (!connected) return Error{connected.error()};
  return connection;
}

Connection::~Connection() {
  if (session_ != nullptr) munmap(session_, session_bytes(bank_bytes_));
  if (socket_ >= 0) close(socket_);
  if (memory_ >= 0) close(memory_);
}

Result<bool> Connection::connect() {
  const std::string where = controller_socket_path(path_);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (where.size() >= sizeof(address.sun_path)) {
    return Error{where + ": too long for a socket's path (107 bytes at most)"};
  }
  memcpy(address.sun_path, where.c_str(), where.size());
  const int socket = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (socket < 0) return file_error(where, "no socket", errno);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    close(socket);
    return Error{path_ + ": an isolated memory needs its controller, and none answers; start one "
                         "with auxin stm serve " + path_};
  }
  const Hello hello = {kHelloMagic, kSessionVersion, static_cast<uint32_t>(getpid()), bank_bytes_,
                       seed_};
  Welcome welcome = {};
  const timeval patience = {static_cast<time_t>(kPatience_ms / 1000), 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  const bool answered =
      send_hello(socket, hello, memory_) &&
      recv(socket, &welcome, sizeof(welcome), 0) == static_cast<ssize_t>(sizeof(welcome)) &&
      welcome.magic == kHelloMagic;
  if (!answered || welcome.accepted == 0) {
    close(socket);
    return Error{path_ + (answered ? ": its controller does not accept this program (another "
                                     "version, or it serves too many)"
                                   : ": its controller ended, or did not answer, while this "
                                     "program was connecting; try again")};
  }
  if (socket_ >= 0) close(socket_);
  socket_ = socket;
  controller_ = welcome.pid;
  return true;
}

Channel* Connection::take_free_channel(uint32_t of_the_first) {
  for (uint32_t index = 0; index < of_the_first; ++index) {
    auto* channel = reinterpret_cast<Channel*>(session_ + kChannelsOffset + index * kChannelBytes);
    uint32_t free = 0;
    if (channel->taken.compare_exchange_strong(free, 1)) return channel;
  }
  return nullptr;
}

Status Connection::take_channel(uint32_t context, Channel** taken) {
  Channel* channel = take_free_channel(kChannels - 1);  // the last is for settle()
  if (channel == nullptr) return Status::kBusy;
  channel->context = context;
  *taken = channel;
  const Status status = ask(*channel, Request::kOpen);
  if (status != Status::kOk) channel->taken.store(0);
  return status;
}

void Connection::give_back(Channel* channel) {
  channel->taken.store(0, std::memory_order_release);
}

// A controller that never sleeps looks anyway.
void Connection::ring() const {
  ControllerWords& controller = board_->controller;
  if (controller.never_sleeps.load(std::memory_order_relaxed) != 0) return;
  std::atomic_thread_fence(std::memory_order_seq_cst);  // the request, before `asleep` is read
  if (controller.asleep.load(std::memory_order_relaxed) == 0) return;
  controller.bell.fetch_add(1, std::memory_order_release);
  syscall(SYS_futex, &controller.bell, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

Status Connection::ask(Channel& channel, Request request, uint64_t* result) {
  channel.request = static_cast<uint16_t>(request);
  const uint64_t number = channel.request_number.load(std::memory_order_relaxed) + 1;
  channel.request_number.store(number, std::memory_order_release);
  ring();
  const Status status = await(channel, number);
  if (result != nullptr && status != Status::kUnreachable) *result = channel.result;
  return status;
}

Status Connection::await(Channel& channel, uint64_t number) {
  uint64_t alone_since_ms = 0, asked_ms = 0;
  for (int spins = 0; channel.reply_number.load(std::memory_order_acquire) != number; ++spins) {
    if (spins < kSpins) {
      __builtin_ia32_pause();
      continue;
    }
    if (board_->controller.lock.seems_held() &&
        board_->controller.pid.load(std::memory_order_acquire) == controller_) {
      alone_since_ms = 0;
      channel.client_sleeps.store(1, std::memory_order_seq_cst);
      const uint64_t reply = channel.reply_number.load(std::memory_order_seq_cst);
      const timespec slice = {0, kSleepSlice_ns};
      if (reply != number) {
        syscall(SYS_futex, &channel.reply_number, FUTEX_WAIT, static_cast<uint32_t>(reply),
                &slice, nullptr, 0);
      }
      channel.client_sleeps.store(0, std::memory_order_relaxed);
      continue;
    }
    // It is gone, or another has come: this session goes to the next one.
    const uint64_t now = now_ms();
    if (alone_since_ms == 0) alone_since_ms = now;
    if (now - alone_since_ms > kPatience_ms) return Status::kUnreachable;
    if (now - asked_ms >= kAskAgain_ms) {
      asked_ms = now;
      reconnect();
    } else {
      const timespec slice = {0, kSleepSlice_ns};
      nanosleep(&slice, nullptr);
    }
  }
  return static_cast<Status>(channel.status);
}

void Connection::settle(const std::function<void()>& each_round) {
  const timespec slice = {0, kSleepSlice_ns};
  Channel* channel = nullptr;
  while ((channel = take_free_channel(kChannels)) == nullptr) {
    each_round();
    nanosleep(&slice, nullptr);
  }
  // One after the other: the reply to nothing comes after what was asked before.
  channel->request = static_cast<uint32_t>(Request::kNone);
  const uint64_t number = channel->request_number.load(std::memory_order_relaxed) + 1;
  channel->request_number.store(number, std::memory_order_release);
  ring();
  const ControllerWords& controller = board_->controller;
  uint64_t asked_ms = 0;
  for (int spins = 0; channel->reply_number.load(std::memory_order_acquire) != number; ++spins) {
    if (spins < kSpins) {
      __builtin_ia32_pause();
      continue;
    }
    each_round();
    if (!controller.lock.seems_held()) break;
    const uint64_t now = now_ms();
    if (controller.pid.load(std::memory_order_acquire) != controller_ &&
        now - asked_ms >= kAskAgain_ms) {
      asked_ms = now;
      reconnect();
    }
    nanosleep(&slice, nullptr);
  }
  give_back(channel);
}

bool Connection::reconnect() {
  const std::lock_guard lock(socket_mutex_);
  const uint32_t now = board_->controller.pid.load(std::memory_order_acquire);
  if (now == controller_ && board_->controller.lock.seems_held()) return true;  // by another thread
  return static_cast<bool>(connect());
}

}  // namespace auxin::stm
