// SPDX-License-Identifier: Apache-2.0
//
// Goal: what a message says is what its receivers come to, and what may not follow is refused with
// the status that says why. Random histories are in message_fuzz.cpp.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "checkpoint/message/image.h"
#include "checkpoint/message/merge.h"
#include "checkpoint/message/message_writer.h"

namespace auxin::checkpoint {
namespace {

// A message with one region, 1, of 32 bytes: `text` at `offset`.
ByteBuffer message(uint64_t from, uint64_t to, const std::string& text, uint64_t offset = 0,
                   uint64_t state = 9, MessageOptions options = {}) {
  MessageWriter writer({state, from, to, 0, 0}, options);
  writer.begin_region(1, 32, 0, from == 0 ? kWhole : 0u);
  writer.add_contents(offset, text.data(), text.size());
  return std::move(*writer.finish());
}

MessageView view(const ByteBuffer& bytes) { return *MessageView::of(bytes.view()); }

std::string text_of(const Image& image, size_t size) {
  return {reinterpret_cast<const char*>(image.region(1)->bytes.data()), size};
}

TEST(Message, ABaseAndAnIncrementAreApplied) {
  Image image;
  const ByteBuffer base = message(0, 1, "one two three"), next = message(1, 2, "TWO", 4);
  ASSERT_TRUE(image.apply(view(base)));
  EXPECT_EQ(text_of(image, 14), std::string("one two three\0", 14));
  ASSERT_TRUE(image.apply(view(next)));
  EXPECT_EQ(text_of(image, 13), "one TWO three");
  EXPECT_EQ(image.position().sequence, 2u);
}

TEST(Message, WhatMayNotFollowIsRefusedAndSaysWhy) {
  Image image;
  EXPECT_EQ(image.apply(view(message(1, 2, "x"))).status, AUXIN_CHECKPOINT_GAP);
  ASSERT_TRUE(image.apply(view(message(0, 5, "five"))));
  EXPECT_EQ(image.apply(view(message(0, 5, "five"))).status, AUXIN_CHECKPOINT_DUPLICATE);
  EXPECT_EQ(image.apply(view(message(4, 5, "x"))).status, AUXIN_CHECKPOINT_DUPLICATE);
  EXPECT_EQ(image.apply(view(message(3, 4, "x"))).status, AUXIN_CHECKPOINT_STALE);
  EXPECT_EQ(image.apply(view(message(0, 3, "x"))).status, AUXIN_CHECKPOINT_STALE);
  EXPECT_EQ(image.apply(view(message(6, 7, "x"))).status, AUXIN_CHECKPOINT_GAP);
  EXPECT_EQ(image.apply(view(message(5, 6, "x", 0, 8))).status, AUXIN_CHECKPOINT_FOREIGN);
  EXPECT_EQ(text_of(image, 4), "five");
  EXPECT_TRUE(image.apply(view(message(3, 6, "more"))));
  EXPECT_TRUE(image.apply(view(message(0, 9, "base"))));
  EXPECT_EQ(image.position().sequence, 9u);
}

TEST(Message, AnIncrementOfARegionThatIsNotThereIsRefused) {
  Image image;
  ASSERT_TRUE(image.apply(view(message(0, 1, "x"))));
  MessageWriter writer({9, 1, 2, 0, 0}, {});
  writer.begin_region(2, 8, 0, 0);
  EXPECT_EQ(image.apply(view(*writer.finish())).status, AUXIN_CHECKPOINT_MALFORMED);
}

TEST(Message, AReceiverTakesNoMoreThanItAllows) {
  Image small(31);
  EXPECT_EQ(small.apply(view(message(0, 1, "x"))).status, AUXIN_CHECKPOINT_TOO_LARGE);
  MessageWriter writer({9, 0, 1, 0, 0}, {});
  writer.begin_region(1, UINT64_MAX, 0, kWhole);  // nothing but a claim
  Image image(1 << 20);
  EXPECT_EQ(image.apply(view(*writer.finish())).status, AUXIN_CHECKPOINT_TOO_LARGE);
}

TEST(Message, PackedContentsAreShorterAndTheSame) {
  std::vector<uint8_t> contents(3 << 20);
  for (size_t i = 0; i < contents.size(); ++i) contents[i] = static_cast<uint8_t>(i / 1000);
  MessageOptions options;
  options.lz4 = true;
  MessageWriter writer({9, 0, 1, 0, 0}, options);
  writer.begin_region(1, contents.size(), 0, kWhole);
  writer.add_contents(0, contents.data(), contents.size());
  const ByteBuffer bytes = std::move(*writer.finish());
  EXPECT_LT(bytes.size(), contents.size() / 10);
  EXPECT_EQ(view(bytes).header().content_bytes, contents.size());
  Image image;
  ASSERT_TRUE(image.apply(view(bytes)));
  EXPECT_EQ(std::memcmp(image.region(1)->bytes.data(), contents.data(), contents.size()), 0);
}

TEST(Message, EachFlippedBitIsFound) {
  const ByteBuffer good = message(0, 1, "contents that are not zeros");
  for (uint64_t bit = 0; bit < good.size() * 8; ++bit) {
    std::vector<uint8_t> bad(good.data(), good.data() + good.size());
    bad[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    const Expected<MessageView> examined = MessageView::of(bad);
    EXPECT_FALSE(examined && examined->verify_contents()) << "bit " << bit;
  }
}

TEST(Message, EachTornEndIsFound) {
  const ByteBuffer good = message(0, 1, "contents");
  for (uint64_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(MessageView::of({good.data(), size})) << size;
  }
}

TEST(Message, MergedMessagesFollowAsOneWould) {
  const ByteBuffer base = message(0, 1, "one two three"), second = message(1, 2, "TWO", 4),
                   third = message(2, 3, "2 3", 6);
  const ByteBuffer both = std::move(*merge(view(second), view(third)));
  EXPECT_EQ(view(both).header().from_sequence, 1u);
  EXPECT_EQ(view(both).header().sequence, 3u);
  Image image;
  ASSERT_TRUE(image.apply(view(base)));
  ASSERT_TRUE(image.apply(view(both)));
  EXPECT_EQ(text_of(image, 13), "one TW2 3hree");
  const ByteBuffer all = std::move(*merge(view(base), view(both)));
  Image another;
  ASSERT_TRUE(another.apply(view(all)));
  EXPECT_EQ(text_of(another, 13), "one TW2 3hree");
}

TEST(Message, OnlyWhatFollowsIsMerged) {
  const ByteBuffer base = message(0, 1, "x");
  EXPECT_EQ(merge(view(base), view(message(2, 3, "x"))).status(), AUXIN_CHECKPOINT_GAP);
  EXPECT_EQ(merge(view(base), view(message(0, 2, "x"))).status(), AUXIN_CHECKPOINT_GAP);
  EXPECT_EQ(merge(view(base), view(message(1, 2, "x", 0, 8))).status(),
            AUXIN_CHECKPOINT_FOREIGN);
}

TEST(Message, MergingGivesDamageNoNewChecksum) {
  ByteBuffer older = message(1, 2, "abcdefgh");
  const ByteBuffer newer = message(2, 3, "XY", 2);
  older.data()[sizeof(MessageHeader)] ^= 1;
  EXPECT_EQ(merge(view(older), view(newer)).status(), AUXIN_CHECKPOINT_DAMAGED);
}

TEST(Message, AnImageBecomesABaseAgain) {
  Image image;
  ASSERT_TRUE(image.apply(view(message(0, 1, "one two"))));
  ASSERT_TRUE(image.apply(view(message(1, 2, "TWO", 4))));
  const ByteBuffer base = std::move(*image.to_base({}));
  Image another;
  ASSERT_TRUE(another.apply(view(base)));
  EXPECT_EQ(text_of(another, 7), "one TWO");
  EXPECT_EQ(another.position().sequence, 2u);
}

}  // namespace
}  // namespace auxin::checkpoint
