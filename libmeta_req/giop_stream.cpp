// SPDX-License-Identifier: Apache-2.0
//
// The state machine behind giop_stream.h.
//
// A message is a 12-byte header (magic, version, flags, type, body size) and a body. Depending on
// type and version the request id is the body's first field (every id-bearing message of 1.2, and
// Cancel and Locate in all versions), follows the service contexts (Request and Reply of 1.0 and
// 1.1), or is not there. Alignment is counted from the header's first byte; the header is 12 bytes
// long, so a field of four bytes is aligned in the message if it is aligned in the body.
//
// Invariant in the context states: what is left of the message holds at least the rest of the
// contexts' fixed parts and the id. It is checked at each length as that becomes known, in 64 bits,
// so no state can run past the message's end, and a message is found malformed at the first field
// that makes it so.
#include "libmeta_req/giop_stream.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace auxin::req {

namespace {

constexpr size_t kHeaderSizeBytes = 12;
constexpr size_t kFieldSizeBytes = 4;
constexpr uint64_t kContextFixedSizeBytes = 8;  // its id and its length
constexpr unsigned char kMagic[4] = {'G', 'I', 'O', 'P'};
constexpr size_t kMajorAt = 4, kMinorAt = 5, kFlagsAt = 6, kTypeAt = 7, kSizeAt = 8;
constexpr unsigned char kHighestMinor = 2;
constexpr unsigned char kHighestType = 7;

static_assert(std::is_trivially_copyable_v<GiopStream>);
static_assert(std::is_trivially_destructible_v<GiopStream>);
static_assert(sizeof(GiopStream) <= 72, "one per direction of each connection");

}  // namespace

void GiopStream::feed(const void* data, size_t size_bytes, const Events& events) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  while (size_bytes > 0) {
    size_t taken = 0;
    switch (state_) {
      case State::kNotGiop:
        offset_ += size_bytes;
        return;
      case State::kBody:
        taken = static_cast<size_t>(std::min<uint64_t>(size_bytes, bytes_left()));
        offset_ += taken;
        finish_if_complete(events);
        break;
      case State::kContextSkip:
        taken = static_cast<size_t>(std::min<uint64_t>(size_bytes, skip_left_));
        offset_ += taken;
        skip_left_ -= taken;
        if (skip_left_ == 0) next_context_or_id();
        break;
      case State::kHeader:
        taken = std::min(size_bytes, kHeaderSizeBytes - have_);
        std::memcpy(scratch_ + have_, bytes, taken);
        have_ = static_cast<uint8_t>(have_ + taken);
        offset_ += taken;
        if (!header_may_be_giop()) {
          state_ = State::kNotGiop;
        } else if (have_ == kHeaderSizeBytes) {
          read_header(events);
        }
        break;
      case State::kRequestId12:
      case State::kContextCount:
      case State::kContextId:
      case State::kContextLength:
      case State::kRequestId10:
        taken = std::min(size_bytes, kFieldSizeBytes - have_);
        std::memcpy(scratch_ + have_, bytes, taken);
        have_ = static_cast<uint8_t>(have_ + taken);
        offset_ += taken;
        if (have_ == kFieldSizeBytes) read_field(events);
        break;
    }
    bytes += taken;
    size_bytes -= taken;
  }
}

// True as long as the header bytes collected so far can be those of a GIOP message that this class
// knows. Asked after every chunk, so that "GET /" is known for what it is without waiting for
// twelve bytes that may never come.
bool GiopStream::header_may_be_giop() const {
  if (std::memcmp(scratch_, kMagic, std::min<size_t>(have_, sizeof kMagic)) != 0) return false;
  if (have_ > kMajorAt && scratch_[kMajorAt] != 1) return false;
  if (have_ > kMinorAt && scratch_[kMinorAt] > kHighestMinor) return false;
  if (have_ > kTypeAt && scratch_[kTypeAt] > kHighestType) return false;
  return true;
}

void GiopStream::read_header(const Events& events) {
  const unsigned char flags = scratch_[kFlagsAt];
  message_ = GiopMessage{};
  message_.type = static_cast<GiopType>(scratch_[kTypeAt]);
  message_.major = scratch_[kMajorAt];
  message_.minor = scratch_[kMinorAt];
  message_.little_endian = (flags & 1) != 0;
  message_.more_fragments = message_.minor >= 1 && (flags & 2) != 0;
  message_.body_size_bytes = scratch_u32(kSizeAt);
  message_.begin_offset = offset_ - kHeaderSizeBytes;
  message_end_ = offset_ + message_.body_size_bytes;
  have_ = 0;

  switch (message_.type) {
    case GiopType::kRequest:
    case GiopType::kReply:
      // Before 1.2 the shortest list of contexts is its count alone, and the id follows.
      state_ = message_.minor >= 2 ? State::kRequestId12 : State::kContextCount;
      if (bytes_left() < (message_.minor >= 2 ? 1 : 2) * kFieldSizeBytes) give_up_on_id(events);
      break;
    case GiopType::kCancelRequest:
    case GiopType::kLocateRequest:
    case GiopType::kLocateReply:
      state_ = State::kRequestId12;
      if (bytes_left() < kFieldSizeBytes) give_up_on_id(events);
      break;
    case GiopType::kFragment:
      if (message_.minor >= 2) {
        state_ = State::kRequestId12;
        if (bytes_left() < kFieldSizeBytes) give_up_on_id(events);
      } else if (message_.minor == 1) {
        announce(events);
      } else {
        give_up_on_id(events);  // 1.0 has no fragments
      }
      break;
    case GiopType::kCloseConnection:
    case GiopType::kMessageError:
      announce(events);
      break;
  }
}

// The four bytes of the current field are in scratch_; offset_ is just after them.
void GiopStream::read_field(const Events& events) {
  const uint32_t value = scratch_u32(0);
  have_ = 0;
  switch (state_) {
    case State::kRequestId12:
    case State::kRequestId10:
      message_.id_known = true;
      message_.request_id = value;
      announce(events);
      break;
    case State::kContextCount:
      contexts_left_ = value;
      if (contexts_left_ * kContextFixedSizeBytes + kFieldSizeBytes > bytes_left()) {
        give_up_on_id(events);
      } else {
        next_context_or_id();
      }
      break;
    case State::kContextId:
      state_ = State::kContextLength;
      break;
    case State::kContextLength: {
      const uint64_t padded_size_bytes = (uint64_t{value} + 3) & ~uint64_t{3};
      if (padded_size_bytes + contexts_left_ * kContextFixedSizeBytes + kFieldSizeBytes >
          bytes_left()) {
        give_up_on_id(events);
      } else if (padded_size_bytes > 0) {
        skip_left_ = padded_size_bytes;
        state_ = State::kContextSkip;
      } else {
        next_context_or_id();
      }
      break;
    }
    case State::kHeader:
    case State::kContextSkip:
    case State::kBody:
    case State::kNotGiop:
      break;  // not fields; feed() does not come here with them
  }
}

void GiopStream::next_context_or_id() {
  if (contexts_left_ == 0) {
    state_ = State::kRequestId10;
  } else {
    --contexts_left_;
    state_ = State::kContextId;
  }
}

void GiopStream::announce(const Events& events) {
  state_ = State::kBody;
  if (events.message_begins != nullptr) events.message_begins(events.context, message_);
  finish_if_complete(events);
}

void GiopStream::give_up_on_id(const Events& events) {
  message_.malformed = true;
  announce(events);
}

void GiopStream::finish_if_complete(const Events& events) {
  if (offset_ != message_end_) return;
  state_ = State::kHeader;
  have_ = 0;
  if (events.message_ends != nullptr) events.message_ends(events.context, message_);
}

uint32_t GiopStream::scratch_u32(size_t at) const {
  const unsigned char* b = scratch_ + at;
  const auto join = [](uint32_t high, uint32_t b2, uint32_t b1, uint32_t low) {
    return high << 24 | b2 << 16 | b1 << 8 | low;
  };
  return message_.little_endian ? join(b[3], b[2], b[1], b[0]) : join(b[0], b[1], b[2], b[3]);
}

}  // namespace auxin::req
