// SPDX-License-Identifier: Apache-2.0
//
// What is said between a checkpoint server and its clients (checkpoint/FORMAT.md, "Conversation").
// Nothing of it is believed before it was examined: frame.h, handshake.h, message_transfer.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace auxin::checkpoint {

inline constexpr char kFrameMagic[8] = {'A', 'U', 'X', 'I', 'N', 'I', 'M', 'F'};
inline constexpr uint16_t kConversationVersion = 1;
// Of a frame's payload, but for pieces.
inline constexpr uint32_t kMostPayloadBytes = 64 << 10;
inline constexpr uint32_t kNameBytes = 48;  // of a state's name, with the zero behind it
inline constexpr uint32_t kNonceBytes = 32, kProofBytes = 32;

enum class FrameKind : uint16_t {
  kChallenge = 1,  // server: its nonce, and whether a secret is needed
  kHello = 2,      // client: its nonce, its proof, the name of the state
  kWelcome = 3,    // server: its proof, its limits
  kOffer = 4,      // sender of a message: which one
  kWanted = 5,     // its receiver: the pieces that are missing
  kPiece = 6,      // its sender: one of them
  kResult = 7,     // how it, or a request, ended
  kAgain = 8,      // the transfer broke: connect again, what has come is kept
  kRead = 9,       // client: what is newer than that
  kReport = 10,    // client: what is kept under this name; the result says it
  kList = 11,      // client: what is kept at all
  kEntry = 12,     // server: one name of a list
  kCompact = 13,   // client: one base in place of base and increments
};
inline constexpr uint16_t kLastFrameKind = 13;

struct FrameHeader {
  char magic[8];
  uint16_t version;
  uint16_t kind;
  uint32_t length;            // of the payload
  uint64_t number;            // of frames in this direction, from 0
  uint64_t payload_checksum;  // XXH3(payload); a piece's: 0, it has its own
  uint64_t header_checksum;   // XXH3(bytes 0 to 31)
};
static_assert(sizeof(FrameHeader) == 40 && offsetof(FrameHeader, header_checksum) == 32);

struct ChallengePayload {
  uint8_t nonce[kNonceBytes];
  uint32_t needs_secret;
  uint32_t zero;
};
static_assert(sizeof(ChallengePayload) == 40);

struct HelloPayload {
  uint8_t nonce[kNonceBytes];
  uint8_t proof[kProofBytes];
  char name[kNameBytes];  // zeros behind it; empty: only kList may follow
};
static_assert(sizeof(HelloPayload) == 112);

struct WelcomePayload {
  uint8_t proof[kProofBytes];
  uint64_t max_message_bytes;
};
static_assert(sizeof(WelcomePayload) == 40);

struct OfferPayload {
  uint64_t digest;  // the message's header_checksum
  uint64_t message_bytes;
  uint64_t state, from_sequence, sequence;
  uint32_t piece_bytes;
  uint32_t base;  // 1 or 0
};
static_assert(sizeof(OfferPayload) == 48);

// kWanted: `count` ranges, one behind the other. None: all are there, a result follows.
struct WantedPayload {
  uint64_t digest;
  uint32_t count;
  uint32_t missing;  // pieces in all, also those that it asks for later
};
static_assert(sizeof(WantedPayload) == 16);
struct PieceRange {
  uint32_t first, count;
};
static_assert(sizeof(PieceRange) == 8);
inline constexpr uint32_t kMostRanges = 1024;

struct KeptRecord {
  uint64_t state;  // 0: nothing is kept
  uint64_t base_sequence, sequence;
  uint64_t messages, bytes, damaged;
};
static_assert(sizeof(KeptRecord) == 48);

// A sentence follows.
struct ResultPayload {
  uint32_t status;  // enum auxin_checkpoint_status
  uint32_t sentence_bytes;
  KeptRecord kept;  // of the connection's name
};
static_assert(sizeof(ResultPayload) == 56);
inline constexpr uint32_t kMostSentenceBytes = 1000;

struct PositionPayload {  // kRead: what the client has; zeros: nothing
  uint64_t state, sequence;
  uint32_t piece_bytes;  // of the messages that are sent to it
  uint32_t zero;
};
static_assert(sizeof(PositionPayload) == 24);

struct EntryPayload {
  char name[kNameBytes];
  KeptRecord kept;
};
static_assert(sizeof(EntryPayload) == 96);

}  // namespace auxin::checkpoint
