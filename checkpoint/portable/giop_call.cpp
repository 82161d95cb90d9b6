// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/portable/giop_call.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "checkpoint/portable/cdr_reader.h"

namespace auxin::checkpoint {
namespace {

constexpr uint64_t kHeaderBytes = 12;
constexpr uint8_t kReplyType = 1;
constexpr uint32_t kMostContexts = 1024;
constexpr int kMostForwards = 4;
constexpr uint32_t kRequestId = 1;

void put_number(Octets* to, uint32_t value) {
  while (to->size() % 4 != 0) to->push_back(0);
  for (int i = 0; i < 4; ++i) to->push_back(static_cast<uint8_t>(value >> 8 * i));
}

void put_octets(Octets* to, const void* octets, size_t size_bytes) {
  put_number(to, static_cast<uint32_t>(size_bytes));
  const uint8_t* first = static_cast<const uint8_t*>(octets);
  to->insert(to->end(), first, first + size_bytes);
}

int64_t steady_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// A connection that never waits beyond its deadline.
class Connection {
 public:
  explicit Connection(int64_t deadline_ms) : deadline_ms_(deadline_ms) {}
  ~Connection() {
    if (fd_ >= 0) close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Each is 0, or errno.
  int connect_to(const addrinfo& address) {
    if (fd_ >= 0) close(fd_);
    fd_ = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ < 0) return errno;
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd_, address.ai_addr, address.ai_addrlen) == 0) return 0;
    if (errno != EINPROGRESS) return errno;
    if (const int error = wait_for(POLLOUT)) return error;
    int error = 0;
    socklen_t size = sizeof(error);
    return getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
  }
  int send_all(std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes = bytes.subspan(static_cast<size_t>(sent));
      } else if (errno == EAGAIN) {
        if (const int error = wait_for(POLLOUT)) return error;
      } else if (errno != EINTR) {
        return errno;
      }
    }
    return 0;
  }
  int receive_all(std::span<uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t got = recv(fd_, bytes.data(), bytes.size(), 0);
      if (got > 0) {
        bytes = bytes.subspan(static_cast<size_t>(got));
      } else if (got == 0) {
        return ECONNRESET;
      } else if (errno == EAGAIN) {
        if (const int error = wait_for(POLLIN)) return error;
      } else if (errno != EINTR) {
        return errno;
      }
    }
    return 0;
  }

 private:
  int wait_for(short what) {
    for (;;) {
      const int64_t left_ms = deadline_ms_ - steady_ms();
      if (left_ms <= 0) return ETIMEDOUT;
      pollfd entry = {fd_, what, 0};
      const int ready = poll(&entry, 1, static_cast<int>(std::min<int64_t>(left_ms, 1 << 30)));
      if (ready > 0) return 0;
      if (ready < 0 && errno != EINTR) return errno;
    }
  }

  int fd_ = -1;
  int64_t deadline_ms_;
};

CallResult unreachable(const ObjectReference& object, const std::string& why) {
  CallResult result;
  result.status = CallStatus::kUnreachable;
  result.text = object.host + ":" + std::to_string(object.port) + ": " + why;
  return result;
}

CallResult damaged(const char* why) {
  CallResult result;
  result.text = std::string("the reply is damaged: ") + why;
  return result;
}

// The size of the message's body; 0: this is no header of a GIOP message.
uint32_t body_size_bytes(std::span<const uint8_t> header, bool* known) {
  *known = memcmp(header.data(), "GIOP\1", 5) == 0 && header[5] <= 2;
  CdrReader reader(header, (header[6] & 1) != 0);
  reader.skip(8);
  return reader.four_octets();
}

CallResult exchange(const ObjectReference& object, const Octets& request, int64_t deadline_ms) {
  addrinfo wanted = {};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* addresses = nullptr;
  const int fault = getaddrinfo(object.host.c_str(), std::to_string(object.port).c_str(), &wanted,
                                &addresses);
  if (fault != 0) return unreachable(object, gai_strerror(fault));
  Connection connection(deadline_ms);
  int error = EADDRNOTAVAIL;
  for (const addrinfo* each = addresses; each != nullptr && error != 0; each = each->ai_next)
    error = connection.connect_to(*each);
  freeaddrinfo(addresses);
  if (error == 0) error = connection.send_all(request);
  Octets message(kHeaderBytes);
  if (error == 0) error = connection.receive_all(message);
  if (error != 0) return unreachable(object, strerror(error));
  bool known = false;
  const uint32_t size_bytes = body_size_bytes(message, &known);
  if (!known) return damaged("it is no GIOP message");
  if (size_bytes > kMostReplyBytes) return damaged("it is larger than 1 GiB");
  message.resize(kHeaderBytes + size_bytes);
  error = connection.receive_all(std::span(message).subspan(kHeaderBytes));
  if (error != 0) return unreachable(object, strerror(error));
  return parse_reply(message, kRequestId);
}

}  // namespace

Octets no_parameters() { return {}; }

Octets text_parameter(const std::string& text) {
  Octets parameters;
  put_octets(&parameters, text.c_str(), text.size() + 1);
  return parameters;
}

Octets octets_parameter(std::span<const uint8_t> octets) {
  Octets parameters;
  put_octets(&parameters, octets.data(), octets.size());
  return parameters;
}

Octets request_message(uint32_t request_id, const std::string& key, const std::string& operation,
                       const Octets& parameters) {
  constexpr uint8_t kLittleEndian = 1;
  Octets message = {'G', 'I', 'O', 'P', 1, 0, kLittleEndian, 0, 0, 0, 0, 0};
  put_number(&message, 0);  // no service contexts
  put_number(&message, request_id);
  message.push_back(1);  // a reply is expected
  put_octets(&message, key.data(), key.size());
  put_octets(&message, operation.c_str(), operation.size() + 1);
  put_number(&message, 0);  // no principal
  message.insert(message.end(), parameters.begin(), parameters.end());
  const uint32_t body_bytes = static_cast<uint32_t>(message.size() - kHeaderBytes);
  for (int i = 0; i < 4; ++i) message[8 + i] = static_cast<uint8_t>(body_bytes >> 8 * i);
  return message;
}

CallResult parse_reply(std::span<const uint8_t> message, uint32_t request_id) {
  if (message.size() < kHeaderBytes) return damaged("it is too short");
  bool known = false;
  const uint32_t size_bytes = body_size_bytes(message, &known);
  if (!known) return damaged("it is no GIOP message");
  if (size_bytes != message.size() - kHeaderBytes) return damaged("its size is another one");
  if (message[5] != 0) return damaged("it is of another version of GIOP than the request");
  if (message[7] != kReplyType) return damaged("the server closed the connection, or refused it");
  CallResult result;
  result.little_endian = (message[6] & 1) != 0;
  CdrReader reader(message, result.little_endian);
  reader.skip(kHeaderBytes);
  const uint32_t contexts = reader.four_octets();
  if (contexts > kMostContexts) return damaged("it has too many service contexts");
  for (uint32_t i = 0; i < contexts && !reader.fault(); ++i) {
    reader.four_octets();
    reader.octets();
  }
  const uint32_t answered = reader.four_octets();
  const uint32_t status = reader.four_octets();
  if (reader.fault()) return damaged("its header ends early");
  if (answered != request_id) return damaged("it answers another request");
  result.body_at = reader.position();
  result.body.assign(message.begin() + static_cast<ptrdiff_t>(result.body_at), message.end());
  if (status == 0) {
    result.status = CallStatus::kDone;
  } else if (status == 1 || status == 2) {
    result.exception = reader.text();
    if (reader.fault()) return damaged("its exception has no name");
    result.status = status == 1 ? CallStatus::kUserException : CallStatus::kSystemException;
    result.text = "the object raised " + result.exception;
  } else if (status == 3) {
    auto moved = read_object_reference(message, result.body_at, result.little_endian);
    if (!moved) return damaged(moved.error().c_str());
    result.status = CallStatus::kForwarded;
    result.forwarded_to = *moved;
    result.text = "the object is elsewhere";
  } else {
    return damaged("its status is none");
  }
  return result;
}

Result<bool> boolean_result(const CallResult& result) {
  if (result.body.empty() || result.body[0] > 1) return Error{"the reply holds no boolean"};
  return result.body[0] == 1;
}

Result<Octets> octets_result(const CallResult& result) {
  // The padding that the results' place in the message asks for.
  const uint64_t padding = (4 - result.body_at % 4) % 4;
  if (result.body.size() < padding) return Error{"the reply holds no state"};
  CdrReader reader(std::span(result.body).subspan(padding), result.little_endian);
  const auto octets = reader.octets();
  if (reader.fault()) return Error{"the reply holds no state, or only a part of one"};
  return Octets(octets.begin(), octets.end());
}

CallResult call_object(const ObjectReference& object, const std::string& operation,
                       const Octets& parameters, int64_t patience_ms) {
  const int64_t deadline_ms = steady_ms() + patience_ms;
  ObjectReference at = object;
  CallResult result;
  for (int forwards = 0; forwards <= kMostForwards; ++forwards) {
    result = exchange(at, request_message(kRequestId, at.key, operation, parameters), deadline_ms);
    if (result.status != CallStatus::kForwarded) return result;
    at = result.forwarded_to;
  }
  return damaged("the object is forwarded again and again");
}

}  // namespace auxin::checkpoint
