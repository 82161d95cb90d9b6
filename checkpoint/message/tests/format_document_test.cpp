// SPDX-License-Identifier: Apache-2.0
//
// Goal: checkpoint/FORMAT.md says what the code writes: tables of fields, and bytes.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "checkpoint/message/message_writer.h"
#include "checkpoint/message/piece.h"
#include "checkpoint/store/segment_format.h"
#include "checkpoint/transport/frame.h"
#include "stmemu/document_example.h"

namespace auxin::checkpoint {
namespace {

const char* const kDocument = AUXIN_CHECKPOINT_FORMAT_DOCUMENT;

TEST(CheckpointFormat, TheTablesAreTheStructures) {
  using stm::Field;
  EXPECT_EQ(stm::table(kDocument, "Incremental Message, version 1"),
            (std::vector<Field>{AUXIN_FIELD(MessageHeader, magic),
                                AUXIN_FIELD(MessageHeader, version),
                                AUXIN_FIELD(MessageHeader, header_bytes),
                                AUXIN_FIELD(MessageHeader, flags),
                                AUXIN_FIELD(MessageHeader, state),
                                AUXIN_FIELD(MessageHeader, from_sequence),
                                AUXIN_FIELD(MessageHeader, sequence),
                                AUXIN_FIELD(MessageHeader, taken_at_ns),
                                AUXIN_FIELD(MessageHeader, user_word),
                                AUXIN_FIELD(MessageHeader, region_count),
                                AUXIN_FIELD(MessageHeader, zero),
                                AUXIN_FIELD(MessageHeader, run_count),
                                AUXIN_FIELD(MessageHeader, content_bytes),
                                AUXIN_FIELD(MessageHeader, stored_bytes),
                                AUXIN_FIELD(MessageHeader, total_bytes),
                                AUXIN_FIELD(MessageHeader, tables_checksum),
                                AUXIN_FIELD(MessageHeader, zero_too),
                                AUXIN_FIELD(MessageHeader, header_checksum)}));
  EXPECT_EQ(stm::table(kDocument, "Region"),
            (std::vector<Field>{AUXIN_FIELD(RegionRecord, id),
                                AUXIN_FIELD(RegionRecord, size_bytes),
                                AUXIN_FIELD(RegionRecord, address),
                                AUXIN_FIELD(RegionRecord, run_count),
                                AUXIN_FIELD(RegionRecord, flags)}));
  EXPECT_EQ(stm::table(kDocument, "Run"),
            (std::vector<Field>{AUXIN_FIELD(RunRecord, offset), AUXIN_FIELD(RunRecord, length),
                                AUXIN_FIELD(RunRecord, stored_bytes),
                                AUXIN_FIELD(RunRecord, encoding), AUXIN_FIELD(RunRecord, zero),
                                AUXIN_FIELD(RunRecord, checksum)}));
  EXPECT_EQ(stm::table(kDocument, "Piece of a message, version 1"),
            (std::vector<Field>{AUXIN_FIELD(PieceHeader, magic),
                                AUXIN_FIELD(PieceHeader, version),
                                AUXIN_FIELD(PieceHeader, header_bytes),
                                AUXIN_FIELD(PieceHeader, piece_bytes),
                                AUXIN_FIELD(PieceHeader, message_digest),
                                AUXIN_FIELD(PieceHeader, message_bytes),
                                AUXIN_FIELD(PieceHeader, index),
                                AUXIN_FIELD(PieceHeader, length),
                                AUXIN_FIELD(PieceHeader, bytes_checksum),
                                AUXIN_FIELD(PieceHeader, zero),
                                AUXIN_FIELD(PieceHeader, header_checksum)}));
  EXPECT_EQ(stm::table(kDocument, "Segment, version 1"),
            (std::vector<Field>{AUXIN_FIELD(MessageCommit, magic),
                                AUXIN_FIELD(MessageCommit, version),
                                AUXIN_FIELD(MessageCommit, zero),
                                AUXIN_FIELD(MessageCommit, message_bytes),
                                AUXIN_FIELD(MessageCommit, message_digest),
                                AUXIN_FIELD(MessageCommit, from_sequence),
                                AUXIN_FIELD(MessageCommit, sequence),
                                AUXIN_FIELD(MessageCommit, zero_too),
                                AUXIN_FIELD(MessageCommit, checksum)}));
  EXPECT_EQ(stm::table(kDocument, "Frame"),
            (std::vector<Field>{AUXIN_FIELD(FrameHeader, magic), AUXIN_FIELD(FrameHeader, version),
                                AUXIN_FIELD(FrameHeader, kind), AUXIN_FIELD(FrameHeader, length),
                                AUXIN_FIELD(FrameHeader, number),
                                AUXIN_FIELD(FrameHeader, payload_checksum),
                                AUXIN_FIELD(FrameHeader, header_checksum)}));
}

TEST(CheckpointFormat, TheExampleOfAFrameIsWhatTheCodeWrites) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  Connection from(ends[0], 1000), to(ends[1], 1000);
  FrameStream stream(from);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(stream.write(FrameKind::kReport, nullptr, 0));
  const WantedPayload wanted{0x0102030405060708, 2, 8};
  const PieceRange ranges[2] = {{0, 7}, {9, 1}};
  ASSERT_TRUE(stream.write(FrameKind::kWanted, &wanted, sizeof(wanted), ranges, sizeof(ranges)));
  uint8_t before[3 * sizeof(FrameHeader)], frame[sizeof(FrameHeader) + 32];
  ASSERT_TRUE(to.read(before, sizeof(before)));
  ASSERT_TRUE(to.read(frame, sizeof(frame)));
  EXPECT_EQ(stm::hex(frame, sizeof(frame)), stm::example(kDocument, "frame"));
}

TEST(CheckpointFormat, TheExampleIsWhatTheCodeWrites) {
  MessageWriter writer({0x1122334455667788, 4, 5, 1000, 77}, MessageOptions{});
  writer.begin_region(3, 20, 0x7f0000001000, 0);
  writer.add_contents(8, "changed", 7);
  writer.add_zeros(16, 4);
  const Expected<ByteBuffer> message = writer.finish();
  ASSERT_TRUE(message);
  EXPECT_EQ(stm::hex(message->data(), message->size()),
            stm::example(kDocument, "increment"));
}

}  // namespace
}  // namespace auxin::checkpoint
