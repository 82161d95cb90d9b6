// SPDX-License-Identifier: Apache-2.0
//
// Framing of a protocol that is not GIOP, as a join-point map describes it: finds the messages in
// one direction of a connection's byte stream, and which of them are requests and replies.
//
// For binary protocols whose messages begin with a header of fixed places: a length, a kind, an id.
// Fed with the bytes as they come, in chunks of any size, it keeps the header only and allocates
// nothing, so it may be used in hooks. A length that can't be (a message shorter than its own
// length field) makes the stream opaque for ever. Lengths come from the network and are believed
// only as counters.
//
// Not thread-safe. All zeros is the initial state.
#pragma once

#include <cstddef>
#include <cstdint>

#include "metamarkers/framing.h"

namespace auxin::req {

struct FramedMessage {
  enum class Kind : uint8_t { kOther, kRequest, kReply };
  Kind kind;
  uint32_t id;  // of a request or a reply; of a longer id its low half
};

class FramedStream {
 public:
  // What feed() calls; any may be null.
  struct Events {
    void* context;
    // The message's header has been fed, or all of a message that is shorter. Once per message.
    void (*message_begins)(void* context, const FramedMessage& message);
    // The message's last byte has been fed.
    void (*message_ends)(void* context, const FramedMessage& message);
  };

  // `framing` must be the same for all bytes of a stream.
  void feed(const markers::Framing& framing, const void* data, size_t size_bytes,
            const Events& events);

  bool opaque() const { return opaque_; }
  uint64_t offset() const { return offset_; }  // bytes fed so far

 private:
  bool read_length(const markers::Framing& framing);
  void read_header(const markers::Framing& framing, const Events& events);
  uint64_t field(const markers::Framing& framing, uint32_t at, uint32_t size_bytes) const;

  uint64_t offset_ = 0;
  uint64_t message_begin_ = 0;
  uint64_t message_end_ = 0;     // once length_known_
  FramedMessage message_{};
  bool length_known_ = false;
  bool announced_ = false;
  bool opaque_ = false;
  unsigned char header_[markers::Framing::kMostHeaderBytes] = {};
};

}  // namespace auxin::req
