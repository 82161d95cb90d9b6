// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/transport/message_transfer.h"

#include <algorithm>
#include <optional>

#include "checkpoint/message/contents_check.h"

namespace auxin::checkpoint {
namespace {

Outcome malformed(const char* why) { return failure(AUXIN_CHECKPOINT_MALFORMED, why); }

Outcome send_piece(FrameStream& stream, const MessageView& message, uint32_t piece_bytes,
                   uint32_t index) {
  const Expected<PieceHeader> header = piece_header_of(message, piece_bytes, index);
  if (!header) return header.outcome();
  return stream.write(FrameKind::kPiece, &*header, sizeof(*header),
                      message.bytes().data() + uint64_t{index} * piece_bytes, header->length);
}

// The ranges of a wanted frame, examined.
Outcome parse_wanted(const FrameStream::Frame& frame, const MessageView& message, uint32_t pieces,
                     std::vector<PieceRange>* ranges, uint32_t* missing) {
  WantedPayload wanted;
  if (frame.payload.size() < sizeof(wanted)) return malformed("a wanted frame is too short");
  std::memcpy(&wanted, frame.payload.data(), sizeof(wanted));
  if (wanted.digest != message.digest() || wanted.count > kMostRanges ||
      frame.payload.size() != sizeof(wanted) + wanted.count * sizeof(PieceRange)) {
    return malformed("a wanted frame is of another message or length");
  }
  *missing = wanted.missing;
  ranges->resize(wanted.count);
  if (wanted.count != 0) {
    std::memcpy(ranges->data(), frame.payload.data() + sizeof(wanted),
                wanted.count * sizeof(PieceRange));
  }
  uint32_t end = 0;
  for (const PieceRange& range : *ranges) {
    if (range.first < end || range.first >= pieces || range.count == 0 ||
        range.count > pieces - range.first) {
      return malformed("a wanted frame has impossible ranges");
    }
    end = range.first + range.count;
  }
  return Outcome::ok();
}

using Ranges = std::vector<std::pair<uint32_t, uint32_t>>;

Outcome write_wanted(FrameStream& stream, const OfferPayload& offer, const Assembly& assembly,
                     const Ranges& wants) {
  std::vector<PieceRange> ranges;
  for (const auto& [first, count] : wants) ranges.push_back({first, count});
  const uint32_t missing = assembly.piece_count() == 0
                               ? piece_count(offer.message_bytes, offer.piece_bytes)
                               : assembly.pieces_missing();
  const WantedPayload wanted{offer.digest, static_cast<uint32_t>(ranges.size()), missing};
  return stream.write(FrameKind::kWanted, &wanted, sizeof(wanted), ranges.data(),
                      static_cast<uint32_t>(ranges.size() * sizeof(PieceRange)));
}

// The next frame is a piece of the offered message: read to where it belongs.
Outcome take_piece(FrameStream& stream, const OfferPayload& offer, Assembly* assembly) {
  const Expected<FrameStream::Frame> frame = stream.read();
  if (!frame) return frame.outcome();
  if (frame->kind != FrameKind::kPiece) return FrameStream::unexpected(*frame);
  PieceHeader header;
  if (Outcome outcome = stream.connection().read(&header, sizeof(header)); !outcome) {
    return outcome;
  }
  if (header.message_digest != offer.digest || header.message_bytes != offer.message_bytes ||
      header.piece_bytes != offer.piece_bytes ||
      header.length != frame->length - sizeof(header)) {
    return failure(AUXIN_CHECKPOINT_FOREIGN, "a piece of another message than was offered");
  }
  bool there = false;
  const Expected<std::span<uint8_t>> to = assembly->place(header, &there);
  if (!to) return to.outcome();
  if (there) return failure(AUXIN_CHECKPOINT_DUPLICATE, "a piece came twice");
  if (Outcome outcome = stream.connection().read(to->data(), to->size()); !outcome) {
    return outcome;
  }
  return assembly->take_in(header);
}

uint64_t bytes_before(const OfferPayload& offer, uint64_t pieces) {
  return std::min(offer.message_bytes, pieces * offer.piece_bytes);
}

// Pieces `first` to `last`, those of them that are missing.
Outcome collect_range(FrameStream& stream, const OfferPayload& offer, Assembly* assembly,
                      uint32_t first, uint32_t last) {
  Ranges missing;
  uint32_t pieces = 0;
  for (uint32_t i = first; i <= last && missing.size() < kMostRanges; ++i) {
    if (assembly->is_there(i)) continue;
    missing.emplace_back(i, 1);
    ++pieces;
  }
  if (missing.empty()) return Outcome::ok();
  if (Outcome outcome = write_wanted(stream, offer, *assembly, missing); !outcome) return outcome;
  for (uint32_t i = 0; i < pieces; ++i) {
    if (Outcome outcome = take_piece(stream, offer, assembly); !outcome) return outcome;
  }
  return Outcome::ok();
}

// The message's header, then the tables that stand at its end. Where they begin is a guess until
// they have been examined: a wrong one makes the order of pieces another.
Outcome collect_tables(FrameStream& stream, const OfferPayload& offer, Assembly* assembly) {
  if (Outcome outcome = collect_range(stream, offer, assembly, 0, 0); !outcome) return outcome;
  MessageHeader header;
  std::memcpy(&header, assembly->incomplete().data(), sizeof(header));
  const uint64_t tables_at =
      std::min(offer.message_bytes - 1, header.stored_bytes) + sizeof(header);
  const uint64_t begin = std::min(offer.message_bytes - 1, tables_at);
  return collect_range(stream, offer, assembly,
                       static_cast<uint32_t>(begin / offer.piece_bytes),
                       piece_count(offer.message_bytes, offer.piece_bytes) - 1);
}

constexpr uint32_t kManyPieces = 16;

}  // namespace

bool parse_result(const FrameStream::Frame& frame, Answer* answer) {
  ResultPayload result;
  if (frame.payload.size() < sizeof(result)) return false;
  std::memcpy(&result, frame.payload.data(), sizeof(result));
  if (result.status > AUXIN_CHECKPOINT_INPUT_OUTPUT ||
      result.sentence_bytes > kMostSentenceBytes ||
      frame.payload.size() != sizeof(result) + result.sentence_bytes) {
    return false;
  }
  answer->came = true;
  answer->kept = result.kept;
  answer->outcome.status = static_cast<Status>(result.status);
  answer->outcome.sentence.assign(
      reinterpret_cast<const char*>(frame.payload.data()) + sizeof(result), result.sentence_bytes);
  return true;
}

Outcome write_result(FrameStream& stream, const Outcome& outcome, const KeptRecord& kept) {
  ResultPayload result{};
  result.status = static_cast<uint32_t>(outcome.status);
  result.sentence_bytes =
      static_cast<uint32_t>(std::min<size_t>(outcome.sentence.size(), kMostSentenceBytes));
  result.kept = kept;
  return stream.write(FrameKind::kResult, &result, sizeof(result), outcome.sentence.data(),
                      result.sentence_bytes);
}

Answer offer_message(FrameStream& stream, const MessageView& message, uint32_t piece_bytes,
                     const std::function<void(uint64_t)>& missing) {
  const MessageHeader& header = message.header();
  const uint64_t message_bytes = message.bytes().size();
  const OfferPayload offer{message.digest(),     message_bytes,    header.state,
                           header.from_sequence, header.sequence,  piece_bytes,
                           message.is_base() ? 1u : 0u};
  const uint32_t pieces = piece_count(message_bytes, piece_bytes);
  Answer answer;
  answer.outcome = stream.write(FrameKind::kOffer, &offer, sizeof(offer));
  uint64_t sent = 0;
  while (answer.outcome) {
    const Expected<FrameStream::Frame> frame = stream.read();
    if (!frame) {
      answer.outcome = frame.outcome();
      break;
    }
    if (frame->kind == FrameKind::kResult) {
      if (!parse_result(*frame, &answer)) answer.outcome = malformed("a result is malformed");
      break;
    }
    if (frame->kind == FrameKind::kAgain) {
      answer.outcome = failure(AUXIN_CHECKPOINT_INPUT_OUTPUT,
                               std::string(frame->payload.begin(), frame->payload.end()));
      break;
    }
    std::vector<PieceRange> ranges;
    uint32_t all_missing = 0;
    answer.outcome = frame->kind == FrameKind::kWanted
                         ? parse_wanted(*frame, message, pieces, &ranges, &all_missing)
                         : FrameStream::unexpected(*frame);
    if (!answer.outcome) break;
    uint64_t wanted = 0;
    for (const PieceRange& range : ranges) wanted += range.count;
    if (missing) missing(all_missing);
    sent += wanted;
    if (sent > pieces) {
      answer.outcome = malformed("the peer wants pieces again and again");
      break;
    }
    for (const PieceRange& range : ranges) {
      for (uint32_t i = 0; i < range.count && answer.outcome; ++i) {
        answer.outcome = send_piece(stream, message, piece_bytes, range.first + i);
      }
    }
  }
  return answer;
}

Outcome examine_offer(const OfferPayload& offer, uint64_t max_message_bytes) {
  if (offer.message_bytes < sizeof(MessageHeader) || offer.piece_bytes < kLeastPieceBytes ||
      offer.piece_bytes > kMostPieceBytes ||
      offer.message_bytes / offer.piece_bytes >= UINT32_MAX || offer.base > 1 ||
      offer.sequence <= offer.from_sequence) {
    return malformed("an offer has impossible numbers");
  }
  if (offer.message_bytes > max_message_bytes) {
    return failure(AUXIN_CHECKPOINT_TOO_LARGE,
                   "a message of " + std::to_string(offer.message_bytes) +
                       " bytes; the receiver takes " + std::to_string(max_message_bytes));
  }
  return Outcome::ok();
}

Outcome judge_offer(const ChainPosition& have, const OfferPayload& offer) {
  MessageHeader header{};
  header.flags = offer.base != 0 ? kBase : 0u;
  header.state = offer.state;
  header.from_sequence = offer.from_sequence;
  header.sequence = offer.sequence;
  return judge_sequence(have, header);
}

Outcome collect_pieces(FrameStream& stream, const OfferPayload& offer, Assembly* assembly,
                       bool* contents_are_good) {
  *contents_are_good = false;
  if (assembly->piece_count() != 0 && (assembly->message_digest() != offer.digest ||
                                       assembly->piece_bytes() != offer.piece_bytes ||
                                       assembly->message_bytes() != offer.message_bytes)) {
    assembly->clear();
  }
  std::optional<ContentsCheck> check;
  if (piece_count(offer.message_bytes, offer.piece_bytes) >= kManyPieces) {
    if (Outcome outcome = collect_tables(stream, offer, assembly); !outcome) return outcome;
    // If they are no good, the message is found out when it is complete.
    const Expected<MessageView> view = MessageView::of(assembly->incomplete());
    if (view) check.emplace(*view);
  }
  uint32_t all_before = 0;  // pieces that are there from the first one on
  while (!assembly->complete()) {
    Ranges missing = assembly->missing_ranges(kMostRanges);
    if (assembly->piece_count() == 0) {
      missing.emplace_back(0, piece_count(offer.message_bytes, offer.piece_bytes));
    }
    if (Outcome outcome = write_wanted(stream, offer, *assembly, missing); !outcome) return outcome;
    for (const auto& [first, count] : missing) {
      for (uint32_t i = 0; i < count; ++i) {
        if (Outcome outcome = take_piece(stream, offer, assembly); !outcome) return outcome;
        while (assembly->is_there(all_before)) ++all_before;
        if (check) check->advance(bytes_before(offer, all_before));
      }
    }
  }
  if (check) check->advance(offer.message_bytes);
  *contents_are_good = check && check->good();
  return Outcome::ok();
}

}  // namespace auxin::checkpoint
