// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/transport/frame.h"

#include "checkpoint/message/checksum.h"
#include "checkpoint/message/piece.h"
#include "checkpoint/transport/kill_step.h"

namespace auxin::checkpoint {
namespace {

Outcome malformed(const char* why) {
  return failure(AUXIN_CHECKPOINT_MALFORMED, std::string("not a frame: ") + why);
}

}  // namespace

Expected<FrameHeader> examine_frame_header(std::span<const uint8_t> bytes, uint64_t number) {
  FrameHeader header;
  if (bytes.size() < sizeof(header)) return malformed("shorter than its header");
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (std::memcmp(header.magic, kFrameMagic, sizeof(kFrameMagic)) != 0) {
    return malformed("it begins with something else");
  }
  if (checksum_of(&header, offsetof(FrameHeader, header_checksum)) != header.header_checksum) {
    return failure(AUXIN_CHECKPOINT_DAMAGED, "a frame's header is damaged");
  }
  if (header.version != kConversationVersion) {
    return failure(AUXIN_CHECKPOINT_VERSION, "the peer speaks another version");
  }
  if (header.kind == 0 || header.kind > kLastFrameKind) return malformed("of no known kind");
  if (header.number != number) return malformed("it is not the next one");
  const bool piece = header.kind == static_cast<uint16_t>(FrameKind::kPiece);
  if (header.length > (piece ? kMostPieceBytes + sizeof(PieceHeader) : kMostPayloadBytes) ||
      (piece && header.length <= sizeof(PieceHeader))) {
    return malformed("of an impossible length");
  }
  return header;
}

Expected<FrameStream::Frame> FrameStream::read(int wait_ms) {
  uint8_t bytes[sizeof(FrameHeader)];
  if (Outcome outcome = connection_.read(bytes, sizeof(bytes), wait_ms); !outcome) return outcome;
  const Expected<FrameHeader> header = examine_frame_header(bytes, read_number_);
  if (!header) return header.outcome();
  ++read_number_;
  kill_step();
  Frame frame;
  frame.kind = static_cast<FrameKind>(header->kind);
  frame.length = header->length;
  if (frame.kind == FrameKind::kPiece) return frame;
  frame.payload.resize(header->length);
  if (Outcome outcome = connection_.read(frame.payload.data(), header->length); !outcome) {
    return failure(AUXIN_CHECKPOINT_INPUT_OUTPUT, outcome.sentence);
  }
  if (checksum_of(frame.payload.data(), frame.payload.size()) != header->payload_checksum) {
    return failure(AUXIN_CHECKPOINT_DAMAGED, "a frame is damaged");
  }
  return frame;
}

Outcome FrameStream::unexpected(const Frame& frame) {
  return failure(AUXIN_CHECKPOINT_MALFORMED,
                 "a frame of kind " + std::to_string(static_cast<int>(frame.kind)) +
                     " where another one belongs");
}

Outcome FrameStream::write(FrameKind kind, const void* payload, uint32_t size_bytes,
                           const void* rest, uint32_t rest_bytes) {
  FrameHeader header{};
  std::memcpy(header.magic, kFrameMagic, sizeof(kFrameMagic));
  header.version = kConversationVersion;
  header.kind = static_cast<uint16_t>(kind);
  header.length = size_bytes + rest_bytes;
  header.number = write_number_++;
  if (kind != FrameKind::kPiece) {
    if (rest_bytes == 0) {
      header.payload_checksum = checksum_of(payload, size_bytes);
    } else {
      std::vector<uint8_t> whole(size_bytes + rest_bytes);
      std::memcpy(whole.data(), payload, size_bytes);
      std::memcpy(whole.data() + size_bytes, rest, rest_bytes);
      header.payload_checksum = checksum_of(whole.data(), whole.size());
    }
  }
  header.header_checksum = checksum_of(&header, offsetof(FrameHeader, header_checksum));
  iovec parts[3] = {{&header, sizeof(header)},
                    {const_cast<void*>(payload), size_bytes},
                    {const_cast<void*>(rest), rest_bytes}};
  kill_step();
  Outcome outcome = connection_.write(parts, 3);
  kill_step();
  return outcome;
}

}  // namespace auxin::checkpoint
