// SPDX-License-Identifier: Apache-2.0
//
// Goal: pieces make the message they were cut from, and no other.
#include "checkpoint/message/piece.h"

#include <gtest/gtest.h>

#include <string>

#include "checkpoint/message/message_writer.h"

namespace auxin::checkpoint {
namespace {

ByteBuffer message_of(const std::string& contents) {
  MessageWriter writer({1, 0, 1, 0, 0}, {});
  writer.begin_region(1, contents.size(), 0, kWhole);
  writer.add_contents(0, contents.data(), contents.size());
  return std::move(*writer.finish());
}

MessageView view(const ByteBuffer& bytes) { return *MessageView::of(bytes.view()); }

TEST(Piece, AReceiverSaysWhatItLacksAndGoesOnAfterABreak) {
  const ByteBuffer message = message_of(std::string(1500, 'x'));
  const uint32_t count = piece_count(message.size(), 256);
  ASSERT_EQ(count, 7u);
  Assembly assembly(1 << 20);
  EXPECT_TRUE(assembly.missing(10).empty()) << "it does not know of what";
  for (const uint32_t index : {5u, 1u, 2u}) {
    ASSERT_TRUE(assembly.add(piece_of(view(message), 256, index)->view()));
  }
  EXPECT_EQ(assembly.missing(10), (std::vector<uint32_t>{0, 3, 4, 6}));
  EXPECT_EQ(assembly.take().status(), AUXIN_CHECKPOINT_INCOMPLETE);
  EXPECT_EQ(assembly.message_digest(), view(message).digest());
  for (const uint32_t index : assembly.missing(10)) {
    ASSERT_TRUE(assembly.add(piece_of(view(message), 256, index)->view()));
  }
  ASSERT_TRUE(assembly.complete());
  EXPECT_TRUE(assembly.take());
  EXPECT_FALSE(assembly.complete());
}

TEST(Piece, PiecesOfAnotherMessageAreRefused) {
  const ByteBuffer one = message_of(std::string(600, 'x')), other = message_of("y");
  Assembly assembly(1 << 20);
  ASSERT_TRUE(assembly.add(piece_of(view(one), 256, 0)->view()));
  EXPECT_EQ(assembly.add(piece_of(view(other), 256, 0)->view()).status,
            AUXIN_CHECKPOINT_FOREIGN);
  EXPECT_EQ(assembly.add(piece_of(view(one), 512, 1)->view()).status, AUXIN_CHECKPOINT_FOREIGN);
  EXPECT_EQ(piece_of(view(one), 256, 99).status(), AUXIN_CHECKPOINT_WRONG_CALL);
  EXPECT_EQ(piece_of(view(one), 1, 0).status(), AUXIN_CHECKPOINT_WRONG_CALL);
}

TEST(Piece, ReceiversBoundTheirMemory) {
  const ByteBuffer message = message_of(std::string(600, 'x'));
  Assembly small(100);
  EXPECT_EQ(small.add(piece_of(view(message), 256, 0)->view()).status,
            AUXIN_CHECKPOINT_TOO_LARGE);
}

}  // namespace
}  // namespace auxin::checkpoint
