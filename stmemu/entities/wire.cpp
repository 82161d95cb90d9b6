// SPDX-License-Identifier: Apache-2.0
#include "stmemu/entities/wire.h"

#include <string.h>

#include <algorithm>

#include "stmemu/entities/records.h"

namespace auxin::stm {
namespace {

uint64_t checksum_of(const FrameHead& head, const char* body, uint64_t size_bytes) {
  const uint64_t of_head = contents_hash(reinterpret_cast<const char*>(&head),
                                         offsetof(FrameHead, checksum), kFrameMagic);
  return contents_hash(body, size_bytes, of_head);
}

}  // namespace

std::vector<char> pack_frame(const Frame& frame) {
  FrameHead head = {};
  head.magic = kFrameMagic;
  head.version = kFrameVersion;
  head.type = static_cast<uint16_t>(frame.type);
  head.sequence = frame.sequence;
  head.target = frame.target;
  head.size_bytes = frame.bytes.size();
  head.ports = static_cast<uint32_t>(frame.ports.size());
  memcpy(head.name, frame.name.data(), std::min(frame.name.size(), sizeof(head.name) - 1));
  const uint64_t ports_bytes = frame.ports.size() * sizeof(FramePort);
  std::vector<char> packed(sizeof(head) + ports_bytes + frame.bytes.size());
  char* body = packed.data() + sizeof(head);
  if (ports_bytes > 0) memcpy(body, frame.ports.data(), ports_bytes);
  if (!frame.bytes.empty()) memcpy(body + ports_bytes, frame.bytes.data(), frame.bytes.size());
  head.checksum = checksum_of(head, body, packed.size() - sizeof(head));
  memcpy(packed.data(), &head, sizeof(head));
  return packed;
}

Result<uint64_t> body_size(const FrameHead& head) {
  if (head.magic != kFrameMagic) return Error{"not a message server's frame"};
  if (head.version != kFrameVersion) {
    return Error{"a frame of version " + std::to_string(head.version) + ", this program knows " +
                 std::to_string(kFrameVersion)};
  }
  const auto type = static_cast<FrameType>(head.type);
  if (type != FrameType::kHello && type != FrameType::kMessage && type != FrameType::kAck) {
    return Error{"a frame of unknown type " + std::to_string(head.type)};
  }
  if (head.size_bytes > kLongestMessage || head.ports > kMostPortsInAMessage ||
      (type != FrameType::kMessage && (head.size_bytes > 0 || head.ports > 0))) {
    return Error{"a frame of " + std::to_string(head.size_bytes) + " bytes and " +
                 std::to_string(head.ports) + " ports: more than there may be"};
  }
  if (memchr(head.name, '\0', sizeof(head.name)) == nullptr) {
    return Error{"a frame whose name has no end"};
  }
  return head.size_bytes + head.ports * sizeof(FramePort);
}

Result<Frame> parse_frame(const FrameHead& head, const std::vector<char>& body) {
  const Result<uint64_t> size = body_size(head);
  if (!size) return Error{size.error()};
  if (body.size() != size.value()) return Error{"a frame that is not as long as it says"};
  if (head.checksum != checksum_of(head, body.data(), body.size())) {
    return Error{"a frame whose checksum is wrong"};
  }
  Frame frame;
  frame.type = static_cast<FrameType>(head.type);
  frame.sequence = head.sequence;
  frame.target = head.target;
  frame.name = head.name;
  const uint64_t ports_bytes = head.ports * sizeof(FramePort);
  frame.ports.resize(head.ports);
  if (ports_bytes > 0) memcpy(frame.ports.data(), body.data(), ports_bytes);
  frame.bytes.assign(body.begin() + static_cast<std::ptrdiff_t>(ports_bytes), body.end());
  for (const FramePort& port : frame.ports) {
    if (head.size_bytes < sizeof(uint64_t) ||
        port.offset > head.size_bytes - sizeof(uint64_t) || port.whose > FramePort::kReceivers) {
      return Error{"a frame with a port outside of its message"};
    }
  }
  return frame;
}

}  // namespace auxin::stm
