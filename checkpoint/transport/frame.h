// SPDX-License-Identifier: Apache-2.0
//
// Frames over a connection: each is examined before its length is believed, and numbered, so that
// one that is lost, doubled or out of order is seen.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/transport/connection.h"
#include "checkpoint/transport/wire_format.h"

namespace auxin::checkpoint {

// kMalformed, kVersion, kDamaged, or a header whose length may be believed.
Expected<FrameHeader> examine_frame_header(std::span<const uint8_t> bytes, uint64_t number);

class FrameStream {
 public:
  explicit FrameStream(Connection& connection) : connection_(connection) {}

  struct Frame {
    FrameKind kind{};
    std::vector<uint8_t> payload;  // not of a piece: it has not been read yet
    uint32_t length = 0;
  };

  // kInputOutput; the statuses of examine_frame_header: the stream can't be read on. kEmpty: the
  // peer closed it between two frames.
  Expected<Frame> read(int wait_ms);
  Expected<Frame> read() { return read(connection_.stall_ms()); }
  // A frame of this kind and, unless it has a tail, of this size.
  template <typename Payload>
  Outcome read_exactly(FrameKind kind, Payload* payload) {
    const Expected<Frame> frame = read();
    if (!frame) return frame.outcome();
    if (frame->kind != kind) return unexpected(*frame);
    return as(*frame, payload);
  }
  // The payload's own structure. kMalformed.
  template <typename Payload>
  static Outcome as(const Frame& frame, Payload* payload) {
    if (frame.payload.size() != sizeof(Payload)) {
      return failure(AUXIN_CHECKPOINT_MALFORMED, "a frame of another length than its kind has");
    }
    std::memcpy(payload, frame.payload.data(), sizeof(Payload));
    return Outcome::ok();
  }
  static Outcome unexpected(const Frame& frame);

  // The payload is `payload` and what follows it.
  Outcome write(FrameKind kind, const void* payload, uint32_t size_bytes,
                const void* rest = nullptr, uint32_t rest_bytes = 0);

  Connection& connection() { return connection_; }

 private:
  Connection& connection_;
  uint64_t read_number_ = 0, write_number_ = 0;
};

}  // namespace auxin::checkpoint
