// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/transport/message_transfer.h"

#include <algorithm>

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
                     std::vector<PieceRange>* ranges) {
  WantedPayload wanted;
  if (frame.payload.size() < sizeof(wanted)) return malformed("a wanted frame is too short");
  std::memcpy(&wanted, frame.payload.data(), sizeof(wanted));
  if (wanted.digest != message.digest() || wanted.count > kMostRanges ||
      frame.payload.size() != sizeof(wanted) + wanted.count * sizeof(PieceRange)) {
    return malformed("a wanted frame is of another message or length");
  }
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

Outcome write_wanted(FrameStream& stream, uint64_t digest,
                     const std::vector<std::pair<uint32_t, uint32_t>>& missing) {
  std::vector<PieceRange> ranges;
  for (const auto& [first, count] : missing) ranges.push_back({first, count});
  const WantedPayload wanted{digest, static_cast<uint32_t>(ranges.size()), 0};
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
    answer.outcome = frame->kind == FrameKind::kWanted
                         ? parse_wanted(*frame, message, pieces, &ranges)
                         : FrameStream::unexpected(*frame);
    if (!answer.outcome) break;
    uint64_t wanted = 0;
    for (const PieceRange& range : ranges) wanted += range.count;
    if (missing) missing(wanted);
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

Outcome collect_pieces(FrameStream& stream, const OfferPayload& offer, Assembly* assembly) {
  if (assembly->piece_count() != 0 && (assembly->message_digest() != offer.digest ||
                                       assembly->piece_bytes() != offer.piece_bytes ||
                                       assembly->message_bytes() != offer.message_bytes)) {
    assembly->clear();
  }
  while (!assembly->complete()) {
    std::vector<std::pair<uint32_t, uint32_t>> missing = assembly->missing_ranges(kMostRanges);
    if (assembly->piece_count() == 0) {
      missing.emplace_back(0, piece_count(offer.message_bytes, offer.piece_bytes));
    }
    if (Outcome outcome = write_wanted(stream, offer.digest, missing); !outcome) return outcome;
    for (const auto& [first, count] : missing) {
      for (uint32_t i = 0; i < count; ++i) {
        if (Outcome outcome = take_piece(stream, offer, assembly); !outcome) return outcome;
      }
    }
  }
  return Outcome::ok();
}

}  // namespace auxin::checkpoint
