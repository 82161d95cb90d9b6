// SPDX-License-Identifier: Apache-2.0
#include "replication/shared_descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>

#include <algorithm>

#include "libmeta_os/descriptor_table.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/modules.h"
#include "libmeta_os/private_memory.h"
#include "libmeta_os/real_calls.h"
#include "libmeta_req/orb_binding.h"
#include "replication/classification.h"
#include "replication/connection.h"
#include "replication/decision.h"
#include "replication/divergence.h"
#include "replication/futex.h"
#include "replication/listener.h"
#include "replication/live_part.h"
#include "replication/replica.h"

namespace auxin::replication {
namespace {

constexpr nfds_t kMaxPolled = 8192;
constexpr nfds_t kMaxAgreedPoll = 64;
constexpr uint64_t kLookAgainNs = 200'000'000;

bool is_stream_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return os::real().getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

bool is_internet(const sockaddr* address, socklen_t length) {
  return address != nullptr && length >= sizeof(sa_family_t) &&
         (address->sa_family == AF_INET || address->sa_family == AF_INET6 ||
          address->sa_family == AF_UNIX);
}

// The copy of a poll set with the event descriptor behind it; per thread, made on first use.
struct PollSet {
  pollfd* fds = nullptr;
  int event_fd = -1;
};
thread_local constinit PollSet poll_set;

bool prepare(PollSet& set) {
  if (set.fds == nullptr) {
    void* memory = os::map_private(sizeof(pollfd) * (kMaxPolled + 1));
    if (memory == nullptr) return false;
    set.fds = static_cast<pollfd*>(memory);
  }
  if (set.event_fd < 0)
    set.event_fd = static_cast<int>(raw_syscall(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK));
  return set.event_fd >= 0;
}

short virtual_readiness(os::MetaSocket* socket, short events, bool* undeliverable) {
  if (auto* connection = dynamic_cast<Connection*>(socket))
    return connection->readiness_locked(events, undeliverable);
  return static_cast<Listener*>(socket)->readiness_locked(events);
}

bool has_connection(const pollfd* fds, nfds_t count) {
  if (count > kMaxAgreedPoll) return false;
  for (nfds_t i = 0; i < count; ++i)
    if (fds[i].fd >= 0 && Connection::of(fds[i].fd) != nullptr) return true;
  return false;
}

bool is_listener(os::MetaSocket* socket) { return dynamic_cast<Listener*>(socket) != nullptr; }

void mark_polled(os::MetaSocket* socket) {
  if (auto* connection = dynamic_cast<Connection*>(socket)) {
    connection->set_polled();
  } else {
    static_cast<Listener*>(socket)->set_polled();
  }
}

int poll_live(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  const LivePart waits(LiveState::kWaits);
  if (waits.leads()) return os::real().ppoll(fds, count, timeout, mask);
  errno = EINTR;
  return -1;
}

// The middleware deals with the name of a socket that replicas share, which the leader has made. In
// a rehearsal there is no such name any more.
bool leaves_name_to_leader(os::CallSite site) {
  if (replica->leads()) return false;
  const os::Module* module = os::module_of(site.address);
  return module != nullptr &&
         map_classification().kind_of(module->name) == ModuleKind::kInfrastructure;
}

}  // namespace

int SharedDescriptors::bind(int fd, const sockaddr* address, socklen_t length, os::CallSite site) {
  os::MetaLevel meta;
  if (current_activity()->id == 0 || !is_internet(address, length) || !is_stream_socket(fd) ||
      !replicates_sockets(site)) {
    if (replica->leads() || !is_internet(address, length) || !is_stream_socket(fd))
      return os::real().bind(fd, address, length);
    // A protocol without a lifecycle binding: the leader's own. A follower's is bound to any free
    // port, so that it neither fails nor takes the leader's clients.
    note_unsupported("a listening socket of a protocol without a binding is the leader's own: its "
                     "connections end at a takeover");
    sockaddr_storage any{};
    memcpy(&any, address, std::min<size_t>(length, sizeof any));
    if (any.ss_family == AF_UNIX) return os::real().bind(fd, address, length);
    memset(reinterpret_cast<char*>(&any) + 2, 0, 2);  // the port, of both families
    return os::real().bind(fd, reinterpret_cast<sockaddr*>(&any), length);
  }
  return Listener::bind(fd, address, length, site);
}

int SharedDescriptors::unlink(const char* path, os::CallSite site) {
  os::MetaLevel meta;
  return leaves_name_to_leader(site) ? 0 : os::real().unlink(path);
}

int SharedDescriptors::chmod(const char* path, mode_t mode, os::CallSite site) {
  os::MetaLevel meta;
  return leaves_name_to_leader(site) ? 0 : os::real().chmod(path, mode);
}

int SharedDescriptors::listen(int fd, int backlog, os::CallSite) {
  os::MetaLevel meta;
  if (auto* listener = dynamic_cast<Listener*>(os::meta_socket(fd)))
    return listener->listen(fd, backlog);
  return os::real().listen(fd, backlog);
}

int SharedDescriptors::connect(int fd, const sockaddr* address, socklen_t length,
                               os::CallSite site) {
  os::MetaLevel meta;
  if (!is_internet(address, length) || !is_stream_socket(fd) || !replicates_sockets(site))
    return os::real().connect(fd, address, length);
  if (current_activity()->id == 0) {
    // The ORB's own business (waking its acceptor): only the leader may touch the shared sockets.
    if (replica->leads()) return os::real().connect(fd, address, length);
    errno = ECONNREFUSED;
    return -1;
  }
  Decision decision(site);
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    if (!decision.begin_logging()) continue;
    const int result = os::real().connect(fd, address, length);
    const int error = errno;
    Connection* made = nullptr;
    if (result == 0 || error == EINPROGRESS)
      made = Connection::make_opened(fd, address, length, result != 0);
    const uint64_t number = made != nullptr ? made->number() : 0;
    decision.log_connect(number, number % kMaxConnections, address, length,
                         result == 0 ? 0 : error);
    errno = error;
    return result;
  }
  if (logged.kind != kConnect) diverge("the leader did not connect a socket here");
  decision.done();
  if (Connection* connection = Connection::find(logged.object)) connection->take_descriptor(fd);
  if (logged.flags == 0) return 0;
  errno = logged.flags;
  return -1;
}

bool SharedDescriptors::takes_polls() const { return true; }

int SharedDescriptors::poll(pollfd* fds, nfds_t count, const timespec* timeout,
                            const sigset_t* mask) {
  os::MetaLevel meta;
  replica->enter();
  if (current_activity()->id != 0 && has_connection(fds, count))
    return poll_agreed(fds, count, timeout, mask);
  if (current_activity()->id == 0 && replica->leads()) {
    const int result = poll_live(fds, count, timeout, mask);
    if (replica->leads()) return result;
  }
  return poll_freely(fds, count, timeout, mask);
}

// What an activity waits for on a connection, or that it waited in vain, is a decision.
int SharedDescriptors::poll_agreed(pollfd* fds, nfds_t count, const timespec* timeout,
                                   const sigset_t* mask) {
  Decision decision(os::CallSite{});
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    const int result = poll_freely(fds, count, timeout, mask);
    const int error = errno;
    if (!decision.begin_logging()) continue;
    if (result < 0) {
      decision.log_value(ValueForm::kPolled, 0, 0, error);
    } else {
      short ready[kMaxAgreedPoll];
      for (nfds_t i = 0; i < count; ++i) ready[i] = fds[i].revents;
      decision.log_bytes(ValueForm::kPolled, ready, static_cast<uint32_t>(count * sizeof(short)),
                         static_cast<uint64_t>(result));
    }
    errno = error;
    return result;
  }
  decision.expect(logged, ValueForm::kPolled);
  if (logged.flags == 0 && logged.payload_size_bytes != count * sizeof(short))
    diverge("the leader waited for other descriptors here");
  const char* ready = replica->log().payload_at(logged.payload_offset);
  for (nfds_t i = 0; logged.flags == 0 && i < count; ++i)
    memcpy(&fds[i].revents, ready + i * sizeof(short), sizeof(short));
  decision.done();
  if (logged.flags == 0) return static_cast<int>(logged.object);
  errno = logged.flags;
  return -1;
}

int SharedDescriptors::poll_freely(pollfd* fds, nfds_t count, const timespec* timeout,
                                   const sigset_t* mask) {
  PollSet& set = poll_set;
  if (count > kMaxPolled || !prepare(set)) {
    errno = count > kMaxPolled ? EINVAL : ENOMEM;
    return -1;
  }
  const uint64_t start_ns = monotonic_ns();
  const uint64_t timeout_ns =
      timeout != nullptr ? static_cast<uint64_t>(timeout->tv_sec) * 1000000000u +
                               static_cast<uint64_t>(timeout->tv_nsec)
                         : 0;
  Waiter& waiter = Replay::this_thread_waiter();
  const uint64_t notices = replay.unread_notices();
  bool watches_listener = false;
  for (;;) {
    const bool virtual_now = !replica->leads();
    int ready = 0;
    bool undeliverable = false;
    {
      FutexGuard guard(replay.lock());
      for (nfds_t i = 0; i < count; ++i) {
        set.fds[i] = fds[i];
        fds[i].revents = 0;
        os::MetaSocket* socket = fds[i].fd >= 0 ? os::meta_socket(fds[i].fd) : nullptr;
        if (socket == nullptr) continue;
        // Also as the leader: what was replayed and not yet taken comes before the kernel's.
        const short bits = virtual_readiness(socket, fds[i].events, &undeliverable);
        watches_listener = watches_listener || is_listener(socket);
        const short unread = bits & (POLLIN | POLLRDNORM);
        if (virtual_now || unread != 0) {
          fds[i].revents = virtual_now ? bits : unread;
          if (fds[i].revents != 0) ++ready;
        }
        if (virtual_now) {
          set.fds[i].fd = -1;
          mark_polled(socket);
        }
      }
      if (virtual_now && ready == 0) {
        waiter.event_fd = set.event_fd;
        replay.add_poller_locked(waiter, undeliverable);
      }
    }
    set.fds[count] = pollfd{set.event_fd, POLLIN, 0};
    uint64_t sleep_ns_left = 0;
    const uint64_t passed_ns = monotonic_ns() - start_ns;
    if (ready == 0)
      sleep_ns_left = timeout == nullptr ? kLookAgainNs
                                         : (passed_ns >= timeout_ns ? 0 : timeout_ns - passed_ns);
    if (!virtual_now && ready == 0 && timeout == nullptr) sleep_ns_left = ~0ull;
    timespec sleep{static_cast<time_t>(sleep_ns_left / 1000000000u),
                   static_cast<long>(sleep_ns_left % 1000000000u)};
    const timespec* limit = sleep_ns_left == ~0ull ? nullptr : &sleep;
    const int result = virtual_now ? os::real().ppoll(set.fds, count + 1, limit, mask)
                                   : poll_live(set.fds, count + 1, limit, mask);
    const int error = errno;
    if (waiter.event_fd >= 0) {
      FutexGuard guard(replay.lock());
      replay.remove_poller_locked(waiter);
      waiter.event_fd = -1;
    }
    if (set.fds[count].revents != 0) {
      uint64_t drained;
      raw_syscall(SYS_read, set.event_fd, reinterpret_cast<long>(&drained), sizeof drained);
    }
    if (!virtual_now && !replica->leads()) {
      // Restored from an image of a leader that was just here. An activity's poll follows.
      if (current_activity()->id == 0) continue;
      errno = EINTR;
      return -1;
    }
    if (result < 0) {
      if (ready > 0) return ready;
      errno = error;
      return -1;
    }
    for (nfds_t i = 0; i < count; ++i) {
      if (set.fds[i].fd < 0 || set.fds[i].revents == 0) continue;
      if (fds[i].revents == 0) ++ready;
      fds[i].revents |= set.fds[i].revents;
    }
    if (ready > 0) return ready;
    if (watches_listener && replay.unread_notices() != notices && req::rescan_error() != 0 &&
        current_activity()->id == 0) {
      errno = req::rescan_error();
      return -1;
    }
    if (timeout != nullptr && monotonic_ns() - start_ns >= timeout_ns) return 0;
  }
}

}  // namespace auxin::replication
