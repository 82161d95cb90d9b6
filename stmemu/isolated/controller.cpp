// SPDX-License-Identifier: Apache-2.0
#include "stmemu/isolated/controller.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "stmemu/file.h"
#include "stmemu/isolated/connection.h"
#include "stmemu/transaction/contexts.h"
#include "stmemu/transaction/descriptor.h"

namespace auxin::stm {
namespace {

constexpr uint32_t kMostSessions = 256;
constexpr uint64_t kMostOfACommit = OwnerWord::kIndexMask;  // changes: as many as one can open
constexpr long kSleepSlice_ns = 100'000'000;
constexpr int kHelloPatience_ms = 1000;

uint64_t now_us() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

// One hello with one descriptor; anything else is refused. -1: nothing usable.
int receive_hello(int socket, Hello* hello) {
  iovec bytes = {hello, sizeof(*hello)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  int descriptor = -1;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS &&
        part->cmsg_len == CMSG_LEN(sizeof(int))) {
      memcpy(&descriptor, CMSG_DATA(part), sizeof(int));
    }
  }
  if (size != static_cast<ssize_t>(sizeof(*hello)) || hello->magic != kHelloMagic) {
    if (descriptor >= 0) close(descriptor);
    return -1;
  }
  return descriptor;
}

// The session's memory must be as long as it says, and stay so, or touching it could end us.
bool is_session(int descriptor, uint64_t size_bytes, ino_t* inode) {
  struct stat info;
  const int seals = fcntl(descriptor, F_GET_SEALS);
  if (fstat(descriptor, &info) != 0 || static_cast<uint64_t>(info.st_size) != size_bytes ||
      seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    return false;
  }
  *inode = info.st_ino;
  return true;
}

bool same_user(int socket) {
  ucred peer = {};
  socklen_t size = sizeof(peer);
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

}  // namespace

// --- life ---

Result<std::unique_ptr<Controller>> Controller::make(const std::string& path,
                                                     const ControllerOptions& options) {
  std::unique_ptr<Controller> controller(new Controller(options));
  AttachOptions how;
  how.controller = true;
  Result<Findings> findings = attach(controller->memory_, path, how);
  if (!findings) return Error{findings.error()};
  if (controller->memory_.mode() != Mode::kIsolated) {
    return Error{path + ": its mode is " + name_of(controller->memory_.mode()) +
                 "; only an isolated memory has a controller"};
  }
  controller->findings_ = std::move(findings.value());
  ControllerWords& words = controller->memory_.board().controller;
  const RobustLock::Taken taken = words.lock.lock_for(plain_mutex_calls(), 1'000'000);
  if (taken != RobustLock::Taken::kClean && taken != RobustLock::Taken::kOwnerDied) {
    return Error{path + ": it has a controller already (pid " + std::to_string(words.pid.load()) +
                 ")"};
  }
  words.asleep.store(0);
  words.never_sleeps.store(options.spin);
  const Status status = Activation::make(controller->memory_, &controller->activation_);
  if (status != Status::kOk) {
    return Error{path + ": no transaction can be run in it: " + name_of(status)};
  }
  // Before it listens: a client that is welcome knows whose client it is.
  words.pid.store(static_cast<uint32_t>(getpid()), std::memory_order_release);
  const Result<bool> listening = controller->listen(path);
  if (!listening) return Error{listening.error()};
  return controller;
}

Controller::~Controller() {
  stop();
  if (acceptor_.joinable()) acceptor_.join();
  for (auto& session : sessions_) drop(*session);
  for (auto& session : arrivals_) drop(*session);
  if (listener_ >= 0) {
    unlink(socket_path_.c_str());
    close(listener_);
  }
  if (wake_acceptor_ >= 0) close(wake_acceptor_);
  activation_.reset();
  if (memory_.mapped() != nullptr && memory_.board().controller.lock.held_by_caller()) {
    memory_.board().controller.pid.store(0);
    memory_.board().controller.lock.unlock(plain_mutex_calls());
  }
}

Result<bool> Controller::listen(const std::string& path) {
  socket_path_ = controller_socket_path(path);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (socket_path_.size() >= sizeof(address.sun_path)) {
    return Error{socket_path_ + ": too long for a socket's path (107 bytes at most)"};
  }
  memcpy(address.sun_path, socket_path_.c_str(), socket_path_.size());
  wake_acceptor_ = eventfd(0, EFD_CLOEXEC);
  const int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (listener < 0 || wake_acceptor_ < 0) return file_error(socket_path_, "no socket", errno);
  unlink(socket_path_.c_str());  // of a controller that died: the lock is ours
  const mode_t mask = umask(077);
  const bool bound =
      bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  umask(mask);
  if (!bound || ::listen(listener, 64) != 0) {
    const Error error = file_error(socket_path_, "can't be listened on", errno);
    close(listener);
    return error;
  }
  listener_ = listener;
  acceptor_ = std::thread([this] { accept_clients(); });
  return true;
}

void Controller::stop() {
  stopping_.store(true, std::memory_order_release);
  const uint64_t one = 1;
  if (wake_acceptor_ >= 0) {
    [[maybe_unused]] const ssize_t written = write(wake_acceptor_, &one, sizeof(one));
  }
  if (memory_.mapped() == nullptr) return;
  std::atomic<uint32_t>& bell = memory_.board().controller.bell;
  bell.fetch_add(1, std::memory_order_release);
  syscall(SYS_futex, &bell, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

// --- clients come and go (the acceptor's thread) ---

void Controller::accept_clients() {
  std::vector<pollfd> watched = {{listener_, POLLIN, 0}, {wake_acceptor_, POLLIN, 0}};
  const auto tell = [this] {
    news_.store(true, std::memory_order_release);
    std::atomic<uint32_t>& bell = memory_.board().controller.bell;
    bell.fetch_add(1, std::memory_order_release);
    syscall(SYS_futex, &bell, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  };
  while (!stopping_.load(std::memory_order_acquire)) {
    if (poll(watched.data(), watched.size(), -1) < 0) continue;
    for (size_t index = 2; index < watched.size();) {
      if (watched[index].revents == 0) {
        ++index;
        continue;
      }
      {
        const std::lock_guard lock(arrivals_mutex_);
        departures_.push_back(watched[index].fd);
      }
      watched.erase(watched.begin() + static_cast<ptrdiff_t>(index));
      tell();
    }
    if ((watched[0].revents & POLLIN) == 0) continue;
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    const size_t before = watched.size();
    if (before - 2 < kMostSessions && same_user(socket)) welcome(socket);
    const std::lock_guard lock(arrivals_mutex_);
    if (!arrivals_.empty() && arrivals_.back()->socket == socket) {
      watched.push_back({socket, POLLIN, 0});
      tell();
    } else {
      close(socket);
    }
  }
}

// Takes the session in, or leaves the socket to be closed.
void Controller::welcome(int socket) {
  pollfd hello_comes = {socket, POLLIN, 0};
  if (poll(&hello_comes, 1, kHelloPatience_ms) != 1) return;
  Hello hello = {};
  const int descriptor = receive_hello(socket, &hello);
  if (descriptor < 0) return;
  const uint64_t size = session_bytes(memory_.bank_bytes());
  void* base = MAP_FAILED;
  ino_t inode = 0;
  if (hello.version == kSessionVersion && hello.bank_bytes == memory_.bank_bytes() &&
      hello.seed == memory_.seed() && is_session(descriptor, size, &inode)) {
    base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  }
  close(descriptor);
  if (base == MAP_FAILED) return;
  auto session = std::make_unique<Session>();
  session->socket = socket;
  session->inode = inode;
  session->base = static_cast<char*>(base);
  for (uint32_t index = 0; index < kChannels; ++index) {
    session->served[index] = session->channel(index).reply_number.load(std::memory_order_acquire);
    if (session->channel(index).taken.load(std::memory_order_acquire) != 0) {
      session->highest = index + 1;
    }
  }
  {
    const std::lock_guard lock(arrivals_mutex_);
    arrivals_.push_back(std::move(session));
  }
  const Welcome welcome = {kHelloMagic, 1, static_cast<uint32_t>(getpid())};
  [[maybe_unused]] const ssize_t sent = send(socket, &welcome, sizeof(welcome), MSG_NOSIGNAL);
}

// --- serving (the thread of run()) ---

// A client that comes once more has one session still: two of one memory would each carry out what
// they find there. (The end of its first socket is news that follows.)
void Controller::take_in(std::unique_ptr<Session> session) {
  const auto known = std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& other) {
    return other->inode == session->inode;
  });
  if (known == sessions_.end()) {
    sessions_.push_back(std::move(session));
    return;
  }
  (*known)->socket = session->socket;
  munmap(session->base, session_bytes(memory_.bank_bytes()));
}

void Controller::drop(Session& session) {
  munmap(session.base, session_bytes(memory_.bank_bytes()));
  close(session.socket);
}

bool Controller::serve_all() {
  if (__builtin_expect(news_.load(std::memory_order_acquire), 0)) {
    const std::lock_guard lock(arrivals_mutex_);
    news_.store(false, std::memory_order_relaxed);
    for (auto& session : arrivals_) take_in(std::move(session));
    arrivals_.clear();
    for (const int socket : departures_) {
      const auto gone = std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& session) {
        return session->socket == socket;
      });
      if (gone == sessions_.end()) {  // its client came again, by another one
        close(socket);
        continue;
      }
      drop(**gone);
      sessions_.erase(gone);
    }
    departures_.clear();
  }
  bool served = false;
  for (const auto& session : sessions_) {
    // One more than were ever in use: where the next thread will ask.
    const uint32_t last = std::min(session->highest + 1, kChannels);
    for (uint32_t index = 0; index < last; ++index) {
      Channel& channel = session->channel(index);
      const uint64_t hints = channel.hints.count.load(std::memory_order_acquire);
      if (channel.request_number.load(std::memory_order_acquire) == session->served[index]) {
        if (hints == session->hints[index]) continue;
        take_hint(*session, index);
        served = true;
        continue;
      }
      session->hints[index] = hints;  // what they were for is here
      session->highest = std::max(session->highest, index + 1);
      serve(*session, index);
      served = true;
    }
  }
  return served;
}

// One hint, so that no request waits for more.
void Controller::take_hint(Session& session, uint32_t index) {
  const Hints& hints = session.channel(index).hints;
  const uint64_t count = hints.count.load(std::memory_order_acquire);
  uint64_t& next = session.hints[index];
  if (count - next > kHints) next = count - kHints;  // the older ones are gone
  const uint64_t said = hints.last[next % kHints].load(std::memory_order_relaxed);
  ++next;
  if ((said & kWritten) == 0) {
    ahead_.judge(memory_, said, {&session.served[index], session.served[index]});
    return;
  }
  Place place;
  if (!locate_header(memory_, said - kWritten, &place)) return;
  const char* const view = session.base + kViewOffset + place.contents;
  const uint64_t size = std::min(place.capacity, kFetchedBytes);
  for (uint64_t at = 0; at < size; at += kLineBytes) __builtin_prefetch(view + at);
}

void Controller::serve(Session& session, uint32_t index) {
  Channel& channel = session.channel(index);
  const uint64_t number = channel.request_number.load(std::memory_order_acquire);
  uint64_t result = 0;
  const Status status = serve_request(session, index, &result);
  channel.status = static_cast<uint32_t>(status);
  channel.result = result;
  session.served[index] = number;
  channel.reply_number.store(number, std::memory_order_release);
  std::atomic_thread_fence(std::memory_order_seq_cst);  // … before it is asked whether one sleeps
  if (__builtin_expect(channel.client_sleeps.load(std::memory_order_relaxed) != 0, 0)) {
    syscall(SYS_futex, &channel.reply_number, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  }
}

Status Controller::serve_request(Session& session, uint32_t index, uint64_t* result) {
  Channel& channel = session.channel(index);
  const Change first = channel.first;
  switch (static_cast<Request>(channel.request)) {
    case Request::kOpen:
      return open_channel(channel);
    case Request::kCommit:
    case Request::kMore:
      return commit(session, index, result);
    case Request::kMakeRun: {
      const auto use = static_cast<PageUse>(first.size_and_kind & 0xff);
      const auto size_class = static_cast<uint8_t>(first.size_and_kind >> 8);
      const SizeClasses& classes = memory_.classes();
      const bool shaped = size_class == kLargeClass
                              ? first.header > 0 && first.header < memory_.pages()
                              : size_class < classes.count() &&
                                    first.header == classes.shape(size_class).pages;
      if (!shaped || (use != PageUse::kObjects && use != PageUse::kDescriptors)) {
        return Status::kRefused;
      }
      *result = PageTable(memory_).make_run(use, size_class, first.header, first.version);
      return *result != 0 ? Status::kOk : Status::kFull;
    }
    case Request::kReclaim:
      *result = activation_->reclaim_empty_runs();
      return Status::kOk;
    case Request::kMend: {
      Place place;
      ObjectHeader header;
      if (!locate_header(memory_, first.header, &place)) return Status::kNotStable;
      const uint64_t owner = memory_.owner_word(place.header).load(std::memory_order_acquire);
      if (OwnerWord::activity_of(owner) != channel.activity) return Status::kConflict;
      return sound_object(memory_, place, &header) == Soundness::kLost ? Status::kDamaged
                                                                       : Status::kOk;
    }
    case Request::kNone:
      break;
  }
  return Status::kRefused;
}

// The descriptor of the context in which the channel's thread runs. It stays with the context, for
// whoever runs there next and whichever controller serves then: there are never more than contexts.
Status Controller::open_channel(Channel& channel) {
  const uint32_t context = channel.context;
  if (context >= kContexts) return Status::kRefused;
  std::atomic<uint64_t>& kept = memory_.board().contexts[context].channel_descriptor;
  uint64_t descriptor = kept.load(std::memory_order_acquire);
  // One that is damaged in both banks is left to the next recovery: nothing is in flight on it.
  DescriptorState state = {};
  ObjectHeader header;  // clients can store into the board: what it says is looked up
  if (!is_live_descriptor(memory_, descriptor, &header) ||
      header.type() != kChannelDescriptorType || !read_state(memory_, descriptor, &state)) {
    const Status status = make_channel_descriptor(&descriptor);
    if (status != Status::kOk) return status;
    if (!read_state(memory_, descriptor, &state)) return Status::kDamaged;
    kept.store(descriptor, std::memory_order_release);
  }
  channel.descriptor = descriptor;
  return Status::kOk;
}

Status Controller::make_channel_descriptor(uint64_t* address) {
  Status status = activation_->use_descriptor(0);
  if (status == Status::kOk) status = activation_->begin();
  if (status == Status::kOk) {
    status = activation_->allocate(kDescriptorBytes, ObjectKind::kDescriptor,
                                   kChannelDescriptorType, address);
  }
  if (status == Status::kOk) return activation_->commit();
  if (activation_->active()) static_cast<void>(activation_->abort());
  return status;
}

Status Controller::commit(Session& session, uint32_t index, uint64_t* result) {
  Channel& channel = session.channel(index);
  const uint64_t count = channel.changes;
  if (count == 0 || count > kMostChanges) return Status::kRefused;
  std::vector<Change>& changes = session.changes[index];
  // Parts of a commit that was given up are forgotten. Those that an earlier controller was sent
  // are not here: it has carried the commit out, or there is none without them.
  const uint64_t before = channel.changes_before;
  if (before == 0) changes.clear();
  const bool whole = changes.size() == before && before + count <= kMostOfACommit;
  if (!whole) changes.clear();
  const bool more = static_cast<Request>(channel.request) == Request::kMore;
  if (more && !whole) return Status::kConflict;
  if (whole) {
    changes.push_back(channel.first);
    changes.insert(changes.end(), channel.rest, channel.rest + (count - 1));
  }
  if (more) return Status::kOk;
  const Status status =
      activation_->carry_out({channel.descriptor, channel.serial, channel.activity,
                              {&session.served[index], session.served[index]}},
                             changes.data(), changes.size(), session.base + kViewOffset, &ahead_,
                             result);
  changes.clear();
  return status;
}

// --- running and sleeping ---

void Controller::sleep() {
  ControllerWords& words = memory_.board().controller;
  const uint32_t bell = words.bell.load(std::memory_order_acquire);
  words.asleep.store(1, std::memory_order_seq_cst);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!serve_all() && !stopping_.load(std::memory_order_acquire)) {
    const timespec slice = {0, kSleepSlice_ns};
    syscall(SYS_futex, &words.bell, FUTEX_WAIT, bell, &slice, nullptr, 0);
  }
  words.asleep.store(0, std::memory_order_release);
}

void Controller::run() {
  uint64_t idle_since_us = 0;
  for (uint32_t turn = 0; !stopping_.load(std::memory_order_relaxed); ++turn) {
    if (serve_all()) {
      idle_since_us = 0;
      continue;
    }
    __builtin_ia32_pause();
    if (options_.spin || (turn & 0xff) != 0) continue;
    const uint64_t now = now_us();
    if (idle_since_us == 0) idle_since_us = now;
    if (now - idle_since_us < options_.idle_before_sleep_us) continue;
    sleep();
    idle_since_us = 0;
  }
}

}  // namespace auxin::stm
