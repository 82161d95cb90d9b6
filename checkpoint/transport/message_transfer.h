// SPDX-License-Identifier: Apache-2.0
//
// One message from one process to another, over a connection that may break anywhere.
//
//     sender                          receiver
//       offer (which message)  ─────►   has some of its pieces, from a connection before
//       ◄─────  wanted (ranges of pieces)
//       piece, piece, piece, … ─────►   each checked, each where it belongs
//       ◄─────  result                  kept, or why not
//
// Whoever receives holds on to what has come (Assembly). After a break the sender offers the
// message again and sends what is missing. The sender of a message that is there already gets its
// result at once: a result that was lost is asked for by another offer.
#pragma once

#include <cstdint>
#include <functional>

#include "checkpoint/message/chain.h"
#include "checkpoint/message/message_view.h"
#include "checkpoint/message/piece.h"
#include "checkpoint/transport/frame.h"

namespace auxin::checkpoint {

inline constexpr uint32_t kUsualPieceBytes = 512 << 10;
// `wish`, or more: the number of a message's pieces has a limit.
inline uint32_t piece_bytes_for(uint64_t message_bytes, uint32_t wish) {
  const uint64_t least = message_bytes / (UINT32_MAX / 2) + 1;
  return least > wish ? static_cast<uint32_t>(least) : wish;
}

// How something that was asked of a peer ended.
struct Answer {
  bool came = false;  // else the connection broke before: `outcome` says how
  Outcome outcome;    // what the peer said
  KeptRecord kept{};  // what it has under the name
};

// Reads a result. `frame`: of kind kResult. False: it is malformed.
bool parse_result(const FrameStream::Frame& frame, Answer* answer);
Outcome write_result(FrameStream& stream, const Outcome& outcome, const KeptRecord& kept);

// `missing`: told how many pieces the receiver lacks, each time that it says so. May be empty.
Answer offer_message(FrameStream& stream, const MessageView& message, uint32_t piece_bytes,
                     const std::function<void(uint64_t)>& missing);

// Of an offer's numbers. kMalformed, kTooLarge.
Outcome examine_offer(const OfferPayload& offer, uint64_t max_message_bytes);
// What judge_sequence says of the message that is offered.
Outcome judge_offer(const ChainPosition& have, const OfferPayload& offer);
// Asks for what is missing, until the assembly is complete. If it fails, the connection is of no
// use any more; the assembly keeps what has come. Of a large message header and tables are asked
// for first, so that its contents can be verified while they come: *contents_are_good then, else
// nobody has looked.
Outcome collect_pieces(FrameStream& stream, const OfferPayload& offer, Assembly* assembly,
                       bool* contents_are_good);

}  // namespace auxin::checkpoint
