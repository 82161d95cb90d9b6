// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/message/piece.h"

#include <cstring>
#include <string>

#include "checkpoint/message/checksum.h"

namespace auxin::checkpoint {
namespace {

Outcome malformed(const char* why) {
  return failure(AUXIN_CHECKPOINT_MALFORMED, std::string("not a piece of a message: ") + why);
}

uint32_t length_of(uint64_t message_bytes, uint32_t piece_bytes, uint32_t index) {
  const uint64_t left = message_bytes - uint64_t{index} * piece_bytes;
  return left < piece_bytes ? static_cast<uint32_t>(left) : piece_bytes;
}

// Of a header that came with `length` bytes.
Outcome examine(const PieceHeader& header, uint64_t length) {
  if (std::memcmp(header.magic, kPieceMagic, sizeof(kPieceMagic)) != 0) {
    return malformed("it begins with something else");
  }
  if (header.version != kPieceVersion) {
    return failure(AUXIN_CHECKPOINT_VERSION, "a piece of another version");
  }
  if (checksum_of(&header, offsetof(PieceHeader, header_checksum)) != header.header_checksum) {
    return failure(AUXIN_CHECKPOINT_DAMAGED, "a piece's header is damaged");
  }
  if (header.header_bytes != sizeof(PieceHeader) || header.zero != 0 ||
      header.piece_bytes < kLeastPieceBytes || header.piece_bytes > kMostPieceBytes ||
      header.message_bytes < sizeof(MessageHeader) ||
      header.message_bytes / header.piece_bytes >= UINT32_MAX) {
    return malformed("its header has impossible sizes");
  }
  const uint32_t count = piece_count(header.message_bytes, header.piece_bytes);
  if (header.index >= count ||
      header.length != length_of(header.message_bytes, header.piece_bytes, header.index) ||
      header.length != length) {
    return malformed("it has another length than it says");
  }
  return Outcome::ok();
}

Outcome examine_bytes(const PieceHeader& header, std::span<const uint8_t> bytes) {
  if (checksum_of(bytes.data(), bytes.size()) == header.bytes_checksum) return Outcome::ok();
  return failure(AUXIN_CHECKPOINT_DAMAGED,
                 "piece " + std::to_string(header.index) + " is damaged");
}

}  // namespace

uint32_t piece_count(uint64_t message_bytes, uint32_t piece_bytes) {
  return static_cast<uint32_t>((message_bytes + piece_bytes - 1) / piece_bytes);
}

Expected<PieceHeader> piece_header_of(const MessageView& message, uint32_t piece_bytes,
                                      uint32_t index) {
  const uint64_t message_bytes = message.bytes().size();
  if (piece_bytes < kLeastPieceBytes || piece_bytes > kMostPieceBytes ||
      message_bytes / piece_bytes >= UINT32_MAX ||
      index >= piece_count(message_bytes, piece_bytes)) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL, "the message has no such piece");
  }
  PieceHeader header{};
  std::memcpy(header.magic, kPieceMagic, sizeof(kPieceMagic));
  header.version = kPieceVersion;
  header.header_bytes = sizeof(PieceHeader);
  header.piece_bytes = piece_bytes;
  header.message_digest = message.digest();
  header.message_bytes = message_bytes;
  header.index = index;
  header.length = length_of(message_bytes, piece_bytes, index);
  header.bytes_checksum =
      checksum_of(message.bytes().data() + uint64_t{index} * piece_bytes, header.length);
  header.header_checksum = checksum_of(&header, offsetof(PieceHeader, header_checksum));
  return header;
}

Expected<ByteBuffer> piece_of(const MessageView& message, uint32_t piece_bytes, uint32_t index) {
  const Expected<PieceHeader> header = piece_header_of(message, piece_bytes, index);
  if (!header) return header.outcome();
  ByteBuffer piece;
  if (!piece.reserve(sizeof(*header) + header->length) ||
      !piece.append(&*header, sizeof(*header)) ||
      !piece.append(message.bytes().data() + uint64_t{index} * piece_bytes, header->length)) {
    return failure(AUXIN_CHECKPOINT_NO_MEMORY, "no memory for a piece of a message");
  }
  return piece;
}

Expected<std::span<uint8_t>> Assembly::place(const PieceHeader& header, bool* there) {
  if (Outcome outcome = examine(header, header.length); !outcome) return outcome;
  if (piece_count_ == 0) {
    if (header.message_bytes > max_bytes_) {
      return failure(AUXIN_CHECKPOINT_TOO_LARGE,
                     "a message of " + std::to_string(header.message_bytes) +
                         " bytes; the receiver takes " + std::to_string(max_bytes_));
    }
    message_ = std::move(spare_);
    if (!message_.resize(header.message_bytes)) {
      return failure(AUXIN_CHECKPOINT_NO_MEMORY, "no memory for a message of " +
                                                     std::to_string(header.message_bytes) +
                                                     " bytes");
    }
    digest_ = header.message_digest;
    piece_bytes_ = header.piece_bytes;
    piece_count_ = left_ = checkpoint::piece_count(header.message_bytes, header.piece_bytes);
    there_.assign(piece_count_ / 8 + 1, 0);
  }
  if (header.message_digest != digest_ || header.piece_bytes != piece_bytes_ ||
      header.message_bytes != message_.size()) {
    return failure(AUXIN_CHECKPOINT_FOREIGN, "a piece of another message");
  }
  *there = has(header.index);
  return std::span<uint8_t>(message_.data() + uint64_t{header.index} * piece_bytes_,
                            header.length);
}

Outcome Assembly::take_in(const PieceHeader& header) {
  const std::span<const uint8_t> bytes(message_.data() + uint64_t{header.index} * piece_bytes_,
                                       header.length);
  if (Outcome outcome = examine_bytes(header, bytes); !outcome) return outcome;
  there_[header.index / 8] |= static_cast<uint8_t>(1 << header.index % 8);
  --left_;
  return Outcome::ok();
}

Outcome Assembly::add(std::span<const uint8_t> piece) {
  PieceHeader header;
  if (piece.size() < sizeof(header)) return malformed("shorter than its header");
  std::memcpy(&header, piece.data(), sizeof(header));
  const std::span<const uint8_t> bytes = piece.subspan(sizeof(header));
  if (Outcome outcome = examine(header, bytes.size()); !outcome) return outcome;
  if (Outcome outcome = examine_bytes(header, bytes); !outcome) return outcome;
  bool there = false;
  const Expected<std::span<uint8_t>> to = place(header, &there);
  if (!to) return to.outcome();
  if (there) return Outcome::ok();
  std::memcpy(to->data(), bytes.data(), bytes.size());
  there_[header.index / 8] |= static_cast<uint8_t>(1 << header.index % 8);
  --left_;
  return Outcome::ok();
}

std::vector<uint32_t> Assembly::missing(uint32_t most) const {
  std::vector<uint32_t> indices;
  for (uint32_t i = 0; i < piece_count_ && indices.size() < most; ++i) {
    if (!has(i)) indices.push_back(i);
  }
  return indices;
}

std::vector<std::pair<uint32_t, uint32_t>> Assembly::missing_ranges(uint32_t most) const {
  std::vector<std::pair<uint32_t, uint32_t>> ranges;
  for (uint32_t i = 0; i < piece_count_; ++i) {
    if (has(i)) continue;
    if (!ranges.empty() && ranges.back().first + ranges.back().second == i) {
      ++ranges.back().second;
    } else if (ranges.size() < most) {
      ranges.emplace_back(i, 1);
    } else {
      break;
    }
  }
  return ranges;
}

Expected<ByteBuffer> Assembly::take() {
  if (!complete()) {
    return failure(AUXIN_CHECKPOINT_INCOMPLETE,
                   std::to_string(left_) + " of " + std::to_string(piece_count_) +
                       " pieces are missing");
  }
  ByteBuffer message = std::move(message_);
  const uint64_t digest = digest_;
  clear();
  const Expected<MessageView> view = MessageView::of(message.view());
  if (!view) return view.outcome();
  if (view->digest() != digest) return malformed("its pieces named another message");
  return message;
}

void Assembly::reuse(ByteBuffer memory) {
  if (memory.capacity() > spare_.capacity()) spare_ = std::move(memory);
}

void Assembly::clear() {
  message_ = ByteBuffer();
  there_.clear();
  digest_ = 0;
  piece_bytes_ = piece_count_ = left_ = 0;
}

}  // namespace auxin::checkpoint
