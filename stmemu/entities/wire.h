// SPDX-License-Identifier: Apache-2.0
//
// What message servers say to each other over a stream: frames, in order.
//
//   sender                              receiver
//     hello(link, its token)      ──▶
//                                 ◀──   hello(link, its token, sequence received last)
//     message(sequence, …)        ──▶
//                                 ◀──   ack(sequence)
//
// A frame is a fixed head, the ports of the message, its bytes. Little-endian. Nothing in it is
// believed before it is parsed: sizes have bounds, offsets lie inside, the checksum fits.
//
// Thread safety: none needed; no state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stmemu/result.h"

namespace auxin::stm {

inline constexpr uint32_t kFrameMagic = 0x4d54'5341;  // "ASTM"
inline constexpr uint16_t kFrameVersion = 1;
inline constexpr uint64_t kLongestMessage = uint64_t{64} << 20;

enum class FrameType : uint16_t { kHello = 1, kMessage = 2, kAck = 3 };

struct FrameHead {
  uint32_t magic;
  uint16_t version;
  uint16_t type;        // FrameType
  uint64_t sequence;    // of the message; hello and ack: received last
  uint64_t target;      // message: the port, or 0: by name; hello: the link's token
  uint64_t size_bytes;  // of the message's bytes
  uint32_t ports;
  uint32_t reserved;
  char name[48];        // message: of the port; hello: of the link
  uint64_t checksum;    // of all before it, and of what follows
};
static_assert(sizeof(FrameHead) == 96);

struct FramePort {
  enum Whose : uint32_t { kSenders = 0, kReceivers = 1 };
  uint64_t port;
  uint32_t offset;  // in the bytes
  uint32_t whose;
};
static_assert(sizeof(FramePort) == 16);

struct Frame {
  FrameType type = FrameType::kAck;
  uint64_t sequence = 0;
  uint64_t target = 0;
  std::string name;
  std::vector<FramePort> ports;
  std::vector<char> bytes;
};

std::vector<char> pack_frame(const Frame& frame);
// How many bytes follow a head; an error if it can't be one.
Result<uint64_t> body_size(const FrameHead& head);
// `body`: exactly body_size bytes.
Result<Frame> parse_frame(const FrameHead& head, const std::vector<char>& body);

}  // namespace auxin::stm
