// SPDX-License-Identifier: Apache-2.0
//
// A message cut into pieces, for transports that lose, reorder and break; put together again in any
// order, and after a break from what the receiver has.
//
//     sender:    for (index …) piece_of(message, piece_bytes, index)
//     receiver:  Assembly::add(piece) …; missing() says what to send again; take()
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "checkpoint/message/byte_buffer.h"
#include "checkpoint/message/message_view.h"
#include "checkpoint/outcome.h"

namespace auxin::checkpoint {

inline constexpr char kPieceMagic[8] = {'A', 'U', 'X', 'I', 'N', 'I', 'M', 'P'};
inline constexpr uint16_t kPieceVersion = 1;
inline constexpr uint32_t kLeastPieceBytes = 256, kMostPieceBytes = 64 << 20;

struct PieceHeader {
  char magic[8];
  uint16_t version;
  uint16_t header_bytes;
  uint32_t piece_bytes;     // of the message in each piece but the last
  uint64_t message_digest;  // which message: its header's checksum
  uint64_t message_bytes;
  uint32_t index;           // from 0
  uint32_t length;          // of the message in this piece
  uint64_t bytes_checksum;  // XXH3-64 of these
  uint64_t zero;
  uint64_t header_checksum; // XXH3-64 of the bytes before it
};
static_assert(sizeof(PieceHeader) == 64 && offsetof(PieceHeader, header_checksum) == 56);

// What stands before the bytes of a piece. kWrongCall (no such piece).
Expected<PieceHeader> piece_header_of(const MessageView& message, uint32_t piece_bytes,
                                      uint32_t index);
// How many pieces it makes. piece_bytes: kLeastPieceBytes to kMostPieceBytes.
uint32_t piece_count(uint64_t message_bytes, uint32_t piece_bytes);
// kWrongCall (no such piece), kNoMemory.
Expected<ByteBuffer> piece_of(const MessageView& message, uint32_t piece_bytes, uint32_t index);

class Assembly {
 public:
  // `max_bytes`: a piece may claim that its message has any size.
  explicit Assembly(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  // A piece that is there already is accepted. The first piece says which message it is; kForeign:
  // one of another message. kMalformed, kVersion, kDamaged, kTooLarge, kNoMemory: nothing changed.
  Outcome add(std::span<const uint8_t> piece);
  // The same in three steps, for who reads a piece straight into the message: where its bytes
  // belong; they are written there; then they are taken in, if they are what the header says. What
  // stands where a piece belongs that was not taken in counts for nothing. *there: it is there
  // already, and its bytes must not be written.
  Expected<std::span<uint8_t>> place(const PieceHeader& header, bool* there);
  Outcome take_in(const PieceHeader& header);

  bool complete() const { return piece_count_ != 0 && left_ == 0; }
  // 0: nothing has come yet.
  uint64_t message_digest() const { return digest_; }
  uint32_t piece_bytes() const { return piece_bytes_; }
  uint32_t piece_count() const { return piece_count_; }
  uint32_t pieces_missing() const { return left_; }
  uint64_t message_bytes() const { return message_.size(); }
  // Indices that have not come, ascending, at most `most`. Nothing if no piece has come at all.
  std::vector<uint32_t> missing(uint32_t most) const;
  // The same as ranges: the first index of each, and how many.
  std::vector<std::pair<uint32_t, uint32_t>> missing_ranges(uint32_t most) const;
  // The message as far as it has come: what stands where a piece is missing means nothing. Valid
  // until the message is taken or let go of.
  std::span<const uint8_t> incomplete() const { return message_.view(); }
  bool is_there(uint32_t index) const { return index < piece_count_ && has(index); }
  // The message, whose structure has been examined; the assembly is empty then. kIncomplete; the
  // statuses of MessageView::of; kMalformed if it is another one than its pieces said.
  Expected<ByteBuffer> take();
  // Lets go of a message that will not be completed.
  void clear();
  // Memory that the next message may be put together in.
  void reuse(ByteBuffer memory);

 private:
  bool has(uint32_t index) const { return (there_[index / 8] >> index % 8 & 1) != 0; }

  const uint64_t max_bytes_;
  uint64_t digest_ = 0;
  uint32_t piece_bytes_ = 0, piece_count_ = 0, left_ = 0;
  ByteBuffer message_, spare_;
  std::vector<uint8_t> there_;  // a bit for each piece
};

}  // namespace auxin::checkpoint
