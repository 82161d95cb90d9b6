// SPDX-License-Identifier: Apache-2.0
#include "libmeta_req/framed_stream.h"

#include <algorithm>
#include <cstring>

namespace auxin::req {

using markers::Framing;

uint64_t FramedStream::field(const Framing& framing, uint32_t at, uint32_t size_bytes) const {
  uint64_t value = 0;
  for (uint32_t i = 0; i < size_bytes; ++i) {
    value = value << 8 | header_[framing.little_endian ? at + size_bytes - 1 - i : at + i];
  }
  return value;
}

// The length field is there. False: no message can be so short.
bool FramedStream::read_length(const Framing& framing) {
  const uint64_t length = field(framing, framing.length_at, framing.length_bytes);
  const uint64_t least = framing.length_at + framing.length_bytes;
  const auto adds = static_cast<uint64_t>(framing.length_adds);  // two's complement: may subtract
  const bool wraps = framing.length_adds < 0 ? length < 0 - adds : length + adds < length;
  const uint64_t size = length + adds;
  if (wraps || size < least || message_begin_ + size < message_begin_) return false;
  message_end_ = message_begin_ + size;
  length_known_ = true;
  return true;
}

// The header is there, or the whole of a shorter message.
void FramedStream::read_header(const Framing& framing, const Events& events) {
  const uint64_t have = std::min<uint64_t>(offset_, message_end_) - message_begin_;
  message_ = {FramedMessage::Kind::kOther, 0};
  if (framing.id_at + framing.id_bytes <= have && framing.kind_at + framing.kind_bytes <= have) {
    const uint64_t kind = field(framing, framing.kind_at, framing.kind_bytes);
    if (framing.is_request(kind)) message_.kind = FramedMessage::Kind::kRequest;
    if (framing.is_reply(kind)) message_.kind = FramedMessage::Kind::kReply;
    message_.id = static_cast<uint32_t>(field(framing, framing.id_at, framing.id_bytes));
  }
  announced_ = true;
  if (events.message_begins != nullptr) events.message_begins(events.context, message_);
}

void FramedStream::feed(const Framing& framing, const void* data, size_t size_bytes,
                        const Events& events) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  while (size_bytes > 0) {
    if (opaque_) {
      offset_ += size_bytes;
      return;
    }
    // Up to the next thing to look at: the end of the length field, of the header, of the message.
    const uint64_t header_end = message_begin_ + framing.header_bytes();
    uint64_t next = message_begin_ + framing.length_at + framing.length_bytes;
    if (length_known_) next = announced_ ? message_end_ : std::min(header_end, message_end_);
    const size_t taken = static_cast<size_t>(std::min<uint64_t>(size_bytes, next - offset_));
    if (offset_ < header_end) {
      const size_t at = static_cast<size_t>(offset_ - message_begin_);
      std::memcpy(header_ + at, bytes, std::min<size_t>(taken, header_end - offset_));
    }
    offset_ += taken;
    bytes += taken;
    size_bytes -= taken;
    if (offset_ < next) return;
    if (!length_known_ && !read_length(framing)) {
      opaque_ = true;
      continue;
    }
    if (!announced_ && offset_ >= std::min(header_end, message_end_)) read_header(framing, events);
    if (announced_ && offset_ == message_end_) {
      if (events.message_ends != nullptr) events.message_ends(events.context, message_);
      message_begin_ = message_end_;
      length_known_ = announced_ = false;
    }
  }
}

}  // namespace auxin::req
