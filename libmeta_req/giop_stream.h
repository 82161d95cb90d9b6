// SPDX-License-Identifier: Apache-2.0
//
// GIOP framing: finds the messages in one direction of a connection's byte stream.
//
// Fed with the bytes as they come, in chunks of any size, it reports each message's type, version,
// byte order, size and, as soon as it is known, its request id. It keeps no body bytes and
// allocates nothing: a state machine of fixed size, so it may be used in hooks. GIOP 1.0 to 1.2 in
// both byte orders; Fragment messages (1.1 has no id in them, 1.2 has) are told apart from first
// messages. Bytes that are not GIOP put the stream into the state `not_giop` for ever: the caller
// then treats the connection as opaque bytes. Lengths come from the network and are believed only
// as counters.
//
// For 1.0 and 1.1 the request id comes after the service contexts, which are skipped by length; a
// context list that is longer than the message makes the message malformed (reported, skipped to
// the message's end as the header said).
//
// Not thread-safe. Source: CORBA 3.3 part 2, chapter 9 (GIOP messages).
#pragma once

#include <cstddef>
#include <cstdint>

namespace auxin::req {

enum class GiopType : uint8_t {
  kRequest = 0, kReply = 1, kCancelRequest = 2, kLocateRequest = 3, kLocateReply = 4,
  kCloseConnection = 5, kMessageError = 6, kFragment = 7
};

struct GiopMessage {
  GiopType type;
  uint8_t major, minor;
  bool little_endian;
  bool more_fragments;        // flag bit 1 (1.1 and 1.2)
  bool id_known;
  bool malformed;
  uint32_t request_id;        // if id_known
  uint32_t body_size_bytes;   // as in the header
  uint64_t begin_offset;      // of the header's first byte in the stream
};

class GiopStream {
 public:
  // What feed() calls. Any may be null. During an event offset() is just after the byte that
  // caused it, whatever the chunks were.
  struct Events {
    void* context;
    // The message's header and (if it has one) its id are known. Exactly once per message; for a
    // message that is malformed before its id: when that is known, with id_known false.
    void (*message_begins)(void* context, const GiopMessage& message);
    // The message's last byte has been fed.
    void (*message_ends)(void* context, const GiopMessage& message);
  };

  void feed(const void* data, size_t size_bytes, const Events& events);

  bool not_giop() const { return state_ == State::kNotGiop; }
  bool between_messages() const { return state_ == State::kHeader && have_ == 0; }
  uint64_t offset() const { return offset_; }  // bytes fed so far

 private:
  enum class State : uint8_t {
    kHeader, kRequestId12, kContextCount, kContextId, kContextLength, kContextSkip, kRequestId10,
    kBody, kNotGiop
  };

  bool header_may_be_giop() const;
  void read_header(const Events& events);
  void read_field(const Events& events);
  void next_context_or_id();
  void announce(const Events& events);
  void give_up_on_id(const Events& events);
  void finish_if_complete(const Events& events);
  uint32_t scratch_u32(size_t at) const;
  uint64_t bytes_left() const { return message_end_ - offset_; }

  // All zeros is the initial state, so a stream may live in zeroed memory.
  State state_ = State::kHeader;
  uint8_t have_ = 0;               // bytes collected in scratch_
  unsigned char scratch_[12] = {};
  GiopMessage message_{};
  uint64_t offset_ = 0;
  uint64_t message_end_ = 0;       // stream offset one past the message
  uint32_t contexts_left_ = 0;     // 1.0 and 1.1: service contexts not yet begun
  uint64_t skip_left_ = 0;         // bytes of the current context and its padding
};

}  // namespace auxin::req
