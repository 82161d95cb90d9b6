// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/server/service.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "checkpoint/server/session.h"
#include "checkpoint/service_thread.h"
#include "stmemu/file.h"

namespace auxin::checkpoint {
namespace {

// The directory of a Unix socket is made if it is not there; nobody else may use it.
Outcome check_directory(const std::string& path) {
  const std::string directory = stm::directory_of(path);
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return failure(AUXIN_CHECKPOINT_INPUT_OUTPUT,
                   stm::file_error(directory, "can't be made", errno).message);
  }
  struct stat status;
  if (stat(directory.c_str(), &status) != 0) {
    return failure(AUXIN_CHECKPOINT_INPUT_OUTPUT,
                   stm::file_error(directory, "can't be used", errno).message);
  }
  if ((status.st_mode & 077) != 0 || status.st_uid != geteuid()) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL,
                   directory + ": a server's socket stands in a directory of its user's own, "
                               "mode 0700");
  }
  return Outcome::ok();
}

}  // namespace

Service::Service(const ServiceOptions& options, KeptStates* states)
    : options_(options),
      states_(states),
      partials_(options.max_message_bytes, options.max_transfer_bytes),
      where_(Address::parse(options.address)) {}

Expected<std::unique_ptr<Service>> Service::start(const ServiceOptions& options,
                                                  KeptStates* states) {
  std::unique_ptr<Service> service(new Service(options, states));
  if (!service->where_) return service->where_.outcome();
  if (Outcome outcome = service->listen(); !outcome) return outcome;
  return service;
}

Outcome Service::listen() {
  if (!where_->is_local() && options_.secret.empty()) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL,
                   options_.address + ": other hosts may reach it; that needs a secret");
  }
  if (where_->is_unix()) {
    if (Outcome outcome = check_directory(where_->path); !outcome) return outcome;
  }
  const Expected<int> listener = listen_at(*where_);
  if (!listener) return listener.outcome();
  listener_ = *listener;
  bound_ = bound_address(listener_, *where_);
  stop_ = eventfd(0, EFD_CLOEXEC);
  if (stop_ < 0) {
    return failure(AUXIN_CHECKPOINT_INPUT_OUTPUT,
                   std::string("no event can be had: ") + std::strerror(errno));
  }
  acceptor_ = service_thread([this] { accept_all(); });
  return Outcome::ok();
}

Service::~Service() {
  if (acceptor_.joinable()) {
    const uint64_t one = 1;
    static_cast<void>(syscall(SYS_write, stop_, &one, sizeof(one)));
    acceptor_.join();
  }
  // Before the listener: nobody else may bind the name and then lose it.
  if (listener_ >= 0 && where_->is_unix()) syscall(SYS_unlink, where_->path.c_str());
  if (listener_ >= 0) syscall(SYS_close, listener_);
  if (stop_ >= 0) syscall(SYS_close, stop_);
}

// Who may speak at all.
bool Service::admit(int fd) {
  std::string why;
  if (where_->is_unix()) {
    const int64_t user = peer_user(fd);
    if (user != geteuid() && user != 0) {
      why = "a process of user " + std::to_string(user) + " was refused";
    }
  }
  if (running_.size() >= options_.most_connections) {
    why = "there are " + std::to_string(running_.size()) + " connections already";
  }
  if (!why.empty() && options_.tell) options_.tell(options_.address + ": " + why);
  return why.empty();
}

void Service::reap(bool all) {
  for (auto at = running_.begin(); at != running_.end();) {
    if (all) at->connection->interrupt();
    if (!all && !at->ended) {
      ++at;
      continue;
    }
    at->thread.join();
    at = running_.erase(at);
  }
}

void Service::accept_all() {
  for (;;) {
    constexpr long kReapEveryMs = 1000;  // the threads that ended
    pollfd events[2] = {{listener_, POLLIN, 0}, {stop_, POLLIN, 0}};
    timespec limit{kReapEveryMs / 1000, 0};
    const long ready = syscall(SYS_ppoll, events, 2, &limit, nullptr, 0);
    if (events[1].revents != 0 && ready > 0) break;
    reap(false);
    if (ready <= 0 || events[0].revents == 0) continue;
    const long fd = syscall(SYS_accept4, listener_, nullptr, nullptr,
                            SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      // Out of descriptors, mostly: others end.
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) poll(nullptr, 0, 50);
      continue;
    }
    stm::FileDescriptor file(static_cast<int>(fd));
    if (!admit(file.get())) continue;
    ++accepted_;
    Running& one = running_.emplace_back();
    one.connection = std::make_unique<Connection>(file.release(), options_.stall_ms);
    try {
      one.thread = service_thread([this, &one] {
        Session(options_, states_, &partials_, one.connection.get()).run();
        one.connection->interrupt();  // the peer sees it at once
        one.ended = true;
      });
    } catch (const std::system_error&) {
      running_.pop_back();  // no thread can be had: the peer comes again
    }
  }
  reap(true);
}

}  // namespace auxin::checkpoint
