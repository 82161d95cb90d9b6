// SPDX-License-Identifier: Apache-2.0
//
// Goal: a frame survives the wire, and nothing that comes from there is believed.
#include "stmemu/entities/wire.h"

#include <gtest/gtest.h>
#include <string.h>

#include <random>

namespace auxin::stm {
namespace {

Frame a_frame() {
  Frame frame;
  frame.type = FrameType::kMessage;
  frame.sequence = 7;
  frame.target = 99;
  frame.name = "a port";
  frame.bytes.assign(100, 'x');
  frame.ports = {{5, 0, FramePort::kSenders}, {6, 92, FramePort::kReceivers}};
  return frame;
}

Result<Frame> parse(const std::vector<char>& packed) {
  FrameHead head;
  if (packed.size() < sizeof(head)) return Error{"short"};
  memcpy(&head, packed.data(), sizeof(head));
  return parse_frame(head, {packed.begin() + sizeof(head), packed.end()});
}

TEST(Wire, AFrameComesBack) {
  const Result<Frame> frame = parse(pack_frame(a_frame()));
  ASSERT_TRUE(frame) << frame.error();
  EXPECT_EQ(frame.value().sequence, 7u);
  EXPECT_EQ(frame.value().target, 99u);
  EXPECT_EQ(frame.value().name, "a port");
  EXPECT_EQ(frame.value().bytes, a_frame().bytes);
  ASSERT_EQ(frame.value().ports.size(), 2u);
  EXPECT_EQ(frame.value().ports[1].offset, 92u);
}

TEST(Wire, SizesHaveBounds) {
  FrameHead head;
  memcpy(&head, pack_frame(a_frame()).data(), sizeof(head));
  const auto refused = [&](auto change) {
    FrameHead bad = head;
    change(bad);
    return !body_size(bad);
  };
  EXPECT_TRUE(refused([](FrameHead& bad) { bad.size_bytes = kLongestMessage + 1; }));
  EXPECT_TRUE(refused([](FrameHead& bad) { bad.size_bytes = ~uint64_t{0}; }));
  EXPECT_TRUE(refused([](FrameHead& bad) { bad.ports = 0xffff'ffff; }));
  EXPECT_TRUE(refused([](FrameHead& bad) { bad.magic ^= 1; }));
  EXPECT_TRUE(refused([](FrameHead& bad) { bad.version += 1; }));
  EXPECT_TRUE(refused([](FrameHead& bad) { bad.type = 9; }));
  EXPECT_TRUE(refused([](FrameHead& bad) { memset(bad.name, 'n', sizeof(bad.name)); }));
  EXPECT_TRUE(refused([](FrameHead& bad) { bad.type = 3; })) << "an ack has no body";
}

TEST(Wire, APortLiesInsideItsMessage) {
  for (const uint32_t offset : {93u, 100u, 0xffff'fff8u, 0xffff'ffffu}) {
    Frame frame = a_frame();
    frame.ports[0].offset = offset;
    EXPECT_FALSE(parse(pack_frame(frame))) << offset;
  }
  Frame frame = a_frame();
  frame.bytes.resize(7);
  frame.ports = {{5, 0, FramePort::kSenders}};
  EXPECT_FALSE(parse(pack_frame(frame)));
}

TEST(Wire, EveryChangedByteIsFound) {
  const std::vector<char> good = pack_frame(a_frame());
  std::mt19937_64 random(1);
  for (size_t at = 0; at < good.size(); ++at) {
    std::vector<char> bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 + random() % 255));
    EXPECT_FALSE(parse(bad)) << at;
  }
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)})) << size;
  }
}

}  // namespace
}  // namespace auxin::stm
