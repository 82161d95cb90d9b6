// SPDX-License-Identifier: Apache-2.0
//
// Goal: a checked image goes through any history as another one does, and finds a bit that turned
// before it is sealed by a message or handed on; a base mends it.
#include <gtest/gtest.h>

#include "checkpoint/message/tests/message_history.h"

namespace auxin::checkpoint {
namespace {

MessageView view(const ByteBuffer& bytes) { return *MessageView::of(bytes.view()); }

TEST(CheckedImage, GoesThroughAnyHistory) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    test::MessageHistory history(seed);
    Image image;
    image.set_checked(true);
    const ByteBuffer base = history.base();
    ASSERT_TRUE(image.apply(view(base)));
    for (int i = 0; i < 8; ++i) {
      const ByteBuffer increment = history.increment();
      const Outcome outcome = image.apply(view(increment));
      ASSERT_TRUE(outcome) << outcome.sentence << ", seed " << seed;
      ASSERT_TRUE(image.check()) << "seed " << seed;
      ASSERT_TRUE(test::equal(image, history.model())) << "seed " << seed;
    }
  }
}

class TurnedBit : public ::testing::Test {
 protected:
  static constexpr uint64_t kBytes = 3 * BlockDigests::kBlockBytes + 100;

  static ByteBuffer message(uint64_t sequence, uint64_t from, uint64_t offset) {
    MessageWriter writer({1, from, sequence, 0, 0}, MessageOptions{});
    const std::string contents(from == 0 ? kBytes : 10, static_cast<char>('a' + sequence));
    writer.begin_region(1, kBytes, 0, from == 0 ? kWhole : 0u);
    writer.add_contents(offset, contents.data(), contents.size());
    return std::move(*writer.finish());
  }
  void SetUp() override {
    image_.set_checked(true);
    ASSERT_TRUE(image_.apply(view(message(1, 0, 0))));
  }
  void turn(uint64_t at) { const_cast<uint8_t*>(image_.region(1)->bytes.data())[at] ^= 4; }

  Image image_;
};

TEST_F(TurnedBit, IsFoundBeforeAMessageIsLaidOverItsBlock) {
  turn(BlockDigests::kBlockBytes + 77);
  EXPECT_TRUE(image_.apply(view(message(2, 1, 5)))) << "another block";
  EXPECT_EQ(image_.apply(view(message(3, 2, BlockDigests::kBlockBytes + 5))).status,
            AUXIN_CHECKPOINT_DAMAGED);
  EXPECT_EQ(image_.position().sequence, 2u);
  EXPECT_TRUE(image_.apply(view(message(3, 0, 0)))) << "a base mends it";
  EXPECT_TRUE(image_.check());
}

TEST_F(TurnedBit, IsFoundBeforeTheImageIsHandedOn) {
  turn(kBytes - 1);
  EXPECT_EQ(image_.check().status, AUXIN_CHECKPOINT_DAMAGED);
  EXPECT_EQ(image_.to_base(MessageOptions{}).status(), AUXIN_CHECKPOINT_DAMAGED);
  image_.set_checked(false);
  EXPECT_TRUE(image_.to_base(MessageOptions{})) << "nobody looks";
}

}  // namespace
}  // namespace auxin::checkpoint
