// SPDX-License-Identifier: Apache-2.0
//
// A service of small files with transactions, for several clients at a time:
//
//     file_server DIRECTORY SOCKET
//
// The files are in named memory; each commit is an increment in DIRECTORY, before it is answered.
// It may be killed at any time and started again with the same arguments: what was committed is
// there, of all else there is no trace.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <vector>

#include "auxin/checkpoint.h"
#include "transaction.h"

namespace file_service {
namespace {

// So many commits make one chain of base and increments.
constexpr uint32_t kBaseEvery = 64;
constexpr uint64_t kFilesId = 1;

SavedFiles files;

struct Connection {
  int socket;
  uint64_t client;  // of the transaction
  std::unique_ptr<Transaction> transaction;
};

class Server {
 public:
  explicit Server(const std::string& directory) : store_(directory), state_(options()) {
    state_.add_range(kFilesId, &files, sizeof(files));
    state_.restore(store_);
  }

  [[noreturn]] void run(int listener) {
    for (;;) {
      std::vector<pollfd> ready{{listener, POLLIN, 0}};
      for (const Connection& each : connections_) ready.push_back({each.socket, POLLIN, 0});
      if (poll(ready.data(), ready.size(), -1) < 0) continue;
      for (size_t i = connections_.size(); i-- > 0;) {
        if (ready[i + 1].revents == 0 || serve(connections_[i])) continue;
        close(connections_[i].socket);
        connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(i));
      }
      if (ready[0].revents == 0) continue;
      const int accepted = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (accepted >= 0) connections_.push_back({accepted, 0, nullptr});
    }
  }

 private:
  static auxin_checkpoint_options options() {
    auxin_checkpoint_options options = AUXIN_CHECKPOINT_OPTIONS;
    options.base_every = kBaseEvery;
    return options;
  }

  // False: the client is gone, and its transaction with it.
  bool serve(Connection& connection) {
    Request request{};
    const ssize_t got = recv(connection.socket, &request, sizeof(request), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (got != static_cast<ssize_t>(sizeof(request))) return false;
    const Reply reply = answer(connection, request);
    return send(connection.socket, &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT) ==
           static_cast<ssize_t>(sizeof(reply));
  }

  Reply answer(Connection& connection, const Request& request) {
    Reply reply{};
    const std::string name(request.name, strnlen(request.name, kNameBytes));
    const bool needs_name = request.operation == Operation::kRead ||
                            request.operation == Operation::kWrite ||
                            request.operation == Operation::kTruncate;
    const bool is_named = !name.empty() && name.size() < kNameBytes;
    if (request.length > kDataBytes || (needs_name && !is_named)) {
      reply.status = Status::kBadRequest;
    } else if (request.operation == Operation::kBegin) {
      reply.status = begin(connection, request);
    } else if (request.operation == Operation::kOutcome) {
      // "No" must stay true: a commit that this client has sent before may still be on its way.
      abort_all_of(request.client);
      const LastCommit* const last = files.last_commit_of(request.client);
      const bool committed = last != nullptr && last->number >= request.number;
      reply.status = committed ? Status::kOk : Status::kNotCommitted;
    } else if (request.operation == Operation::kGoodbye) {
      // In the store with whatever is committed next: until then it is only not forgotten.
      LastCommit* const last = request.client == 0 ? nullptr : files.last_commit_of(request.client);
      if (last != nullptr) *last = LastCommit();
    } else if (connection.transaction == nullptr) {
      reply.status = Status::kNoTransaction;
    } else {
      in_transaction(connection, request, name, reply);
    }
    return reply;
  }

  void abort_all_of(uint64_t client) {
    for (Connection& each : connections_) {
      if (each.client == client) each.transaction.reset();
    }
  }

  Status begin(Connection& connection, const Request& request) {
    connection.transaction.reset();
    if (request.client == 0) return Status::kBadRequest;
    abort_all_of(request.client);
    if (files.last_commit_of(request.client) == nullptr) {
      LastCommit* const free = files.last_commit_of(0);
      if (free == nullptr) return Status::kFull;
      *free = {request.client, 0};
    }
    connection.client = request.client;
    connection.transaction =
        std::make_unique<Transaction>(files, request.client, request.number);
    return Status::kOk;
  }

  void in_transaction(Connection& connection, const Request& request, const std::string& name,
                      Reply& reply) {
    Transaction& transaction = *connection.transaction;
    switch (request.operation) {
      case Operation::kRead: {
        const std::string& bytes = transaction.read(name);
        if (request.offset < bytes.size()) {
          reply.length =
              static_cast<uint32_t>(bytes.copy(reply.data, request.length, request.offset));
        }
        return;
      }
      case Operation::kWrite:
        reply.status = transaction.write(name, request.offset, request.data, request.length);
        return;
      case Operation::kTruncate:
        reply.status = transaction.truncate(name, request.offset);
        return;
      case Operation::kCommit:
        reply.status = transaction.commit(state_, store_);
        connection.transaction.reset();
        return;
      case Operation::kAbort:
        connection.transaction.reset();
        return;
      default:
        reply.status = Status::kBadRequest;
    }
  }

  auxin::checkpoint::Store store_;
  auxin::checkpoint::State state_;
  std::vector<Connection> connections_;
};

// The store is this process's alone by now: a socket that is there was its predecessor's.
int listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  unlink(path.c_str());
  const int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (listener < 0 ||
      bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener, 16) != 0) {
    perror(path.c_str());
    exit(1);
  }
  return listener;
}

}  // namespace
}  // namespace file_service

int main(int count, char** arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: file_server DIRECTORY SOCKET\n");
    return 2;
  }
  signal(SIGXFSZ, SIG_IGN);  // a limit of file sizes is an error as any other
  try {
    file_service::Server server(arguments[1]);
    server.run(file_service::listen_at(arguments[2]));
  } catch (const auxin::checkpoint::Failure& failure) {
    fprintf(stderr, "file_server: %s\n", failure.what());
    return 1;
  }
}
