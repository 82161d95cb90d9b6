// SPDX-License-Identifier: Apache-2.0
//
// Goal: messages come out of a descriptor as they went in; what is torn, damaged or too large is
// told.
#include "checkpoint/message/transfer.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "checkpoint/message/message_writer.h"

namespace auxin::checkpoint {
namespace {

ByteBuffer message_of(uint64_t size_bytes) {
  MessageWriter writer({1, 0, 1, 0, 0}, {});
  const std::string contents(size_bytes, 'x');
  writer.begin_region(1, size_bytes, 0, kWhole);
  writer.add_contents(0, contents.data(), contents.size());
  return std::move(*writer.finish());
}

class TransferTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends_), 0); }
  void TearDown() override {
    close_writer();
    close(ends_[0]);
  }
  void begin_anew() {
    TearDown();
    SetUp();
  }
  void close_writer() {
    if (ends_[1] >= 0) close(ends_[1]);
    ends_[1] = -1;
  }
  int ends_[2];
};

TEST_F(TransferTest, MessagesStandOneBehindTheOther) {
  const ByteBuffer large = message_of(5 << 20), small = message_of(3);
  std::thread sender([&] {
    for (const ByteBuffer* each : {&large, &small}) {
      EXPECT_TRUE(send_message(ends_[1], *MessageView::of(each->view())));
    }
    close_writer();
  });
  for (const ByteBuffer* each : {&large, &small}) {
    const Expected<ByteBuffer> got = receive_message(ends_[0], 6 << 20);
    ASSERT_TRUE(got) << got.outcome().sentence;
    ASSERT_EQ(got->size(), each->size());
    EXPECT_EQ(std::memcmp(got->data(), each->data(), each->size()), 0);
  }
  EXPECT_EQ(receive_message(ends_[0], 100).status(), AUXIN_CHECKPOINT_EMPTY);
  sender.join();
}

TEST_F(TransferTest, WhatIsTornOrDamagedOrTooLargeIsTold) {
  ByteBuffer message = message_of(1000);
  ASSERT_GT(write(ends_[1], message.data(), message.size()), 0);
  EXPECT_EQ(receive_message(ends_[0], 900).status(), AUXIN_CHECKPOINT_TOO_LARGE);
  begin_anew();
  message.data()[90] ^= 1;
  ASSERT_GT(write(ends_[1], message.data(), message.size()), 0);
  EXPECT_EQ(receive_message(ends_[0], 9000).status(), AUXIN_CHECKPOINT_DAMAGED);
  begin_anew();
  message.data()[90] ^= 1;
  ASSERT_GT(write(ends_[1], message.data(), message.size() - 1), 0);
  close_writer();
  EXPECT_EQ(receive_message(ends_[0], 9000).status(), AUXIN_CHECKPOINT_INCOMPLETE);
}

TEST_F(TransferTest, AReceiverThatIsGoneIsAnErrorAndNoSignal) {
  const ByteBuffer message = message_of(1000);
  shutdown(ends_[0], SHUT_RDWR);
  EXPECT_EQ(send_message(ends_[1], *MessageView::of(message.view())).status,
            AUXIN_CHECKPOINT_INPUT_OUTPUT);
}

}  // namespace
}  // namespace auxin::checkpoint
