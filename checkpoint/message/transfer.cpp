// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/message/transfer.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "checkpoint/message/checksum.h"

namespace auxin::checkpoint {
namespace {

Outcome broken(int fd, const char* what, int error) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return failure(full ? AUXIN_CHECKPOINT_NO_SPACE : AUXIN_CHECKPOINT_INPUT_OUTPUT,
                 "descriptor " + std::to_string(fd) + ": " + what + ": " + std::strerror(error));
}

// Bytes read until `size_bytes` or the end of the stream; negative: -errno.
int64_t read_all(int fd, uint8_t* to, uint64_t size_bytes) {
  uint64_t done = 0;
  while (done < size_bytes) {
    const ssize_t got = ::read(fd, to + done, size_bytes - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -errno;
    if (got == 0) break;
    done += static_cast<uint64_t>(got);
  }
  return static_cast<int64_t>(done);
}

}  // namespace

Outcome send_message(int fd, const MessageView& message) {
  const uint8_t* at = message.bytes().data();
  uint64_t left = message.bytes().size();
  bool is_socket = true;
  while (left != 0) {
    const ssize_t put = is_socket ? ::send(fd, at, left, MSG_NOSIGNAL) : ::write(fd, at, left);
    if (put < 0 && is_socket && errno == ENOTSOCK) {
      is_socket = false;
      continue;
    }
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return broken(fd, "a message can't be written", errno);
    at += put;
    left -= static_cast<uint64_t>(put);
  }
  return Outcome::ok();
}

Expected<ByteBuffer> receive_message(int fd, uint64_t max_bytes) {
  MessageHeader header;
  ByteBuffer bytes;
  const auto incomplete = [&] {
    return failure(AUXIN_CHECKPOINT_INCOMPLETE, "the stream ended within a message");
  };
  int64_t got = read_all(fd, reinterpret_cast<uint8_t*>(&header), sizeof(header));
  if (got < 0) return broken(fd, "a message can't be read", static_cast<int>(-got));
  if (got == 0) return failure(AUXIN_CHECKPOINT_EMPTY, "the stream has ended");
  if (got < static_cast<int64_t>(sizeof(header))) return incomplete();
  if (std::memcmp(header.magic, kMessageMagic, sizeof(kMessageMagic)) != 0) {
    return failure(AUXIN_CHECKPOINT_MALFORMED, "something else than a message has come");
  }
  // Before its length is believed.
  if (checksum_of(&header, offsetof(MessageHeader, header_checksum)) != header.header_checksum) {
    return failure(AUXIN_CHECKPOINT_DAMAGED, "the message's header is damaged");
  }
  if (header.total_bytes > max_bytes || header.total_bytes < sizeof(header)) {
    return failure(AUXIN_CHECKPOINT_TOO_LARGE,
                   "a message of " + std::to_string(header.total_bytes) +
                       " bytes; the receiver takes " + std::to_string(max_bytes));
  }
  if (!bytes.append(&header, sizeof(header))) {
    return failure(AUXIN_CHECKPOINT_NO_MEMORY, "no memory for a message");
  }
  // Memory is taken as bytes come, not as they are claimed.
  constexpr uint64_t kAtOnce = uint64_t{1} << 20;
  while (bytes.size() < header.total_bytes) {
    const uint64_t at = bytes.size();
    const uint64_t part = std::min(header.total_bytes - at, kAtOnce);
    if (!bytes.resize(at + part)) {
      return failure(AUXIN_CHECKPOINT_NO_MEMORY, "no memory for a message");
    }
    got = read_all(fd, bytes.data() + at, part);
    if (got < 0) return broken(fd, "a message can't be read", static_cast<int>(-got));
    if (got < static_cast<int64_t>(part)) return incomplete();
  }
  const Expected<MessageView> view = MessageView::of(bytes.view());
  if (!view) return view.outcome();
  return bytes;
}

}  // namespace auxin::checkpoint
