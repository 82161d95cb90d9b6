// SPDX-License-Identifier: Apache-2.0
//
// A state of the method under test, and a receiver of its messages.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "checkpoint/message/image.h"
#include "checkpoint/state/named_state.h"
#include "checkpoint/tests/method_under_test.h"

namespace auxin::checkpoint::test {

class StateTest : public testing::Test {
 protected:
  void SetUp() override {
    options_.method = method_under_test();
    Expected<std::unique_ptr<NamedState>> made = NamedState::create(options_);
    if (made.status() == AUXIN_CHECKPOINT_UNAVAILABLE) GTEST_SKIP() << made.outcome().sentence;
    ASSERT_TRUE(made) << made.outcome().sentence;
    state_ = std::move(*made);
  }

  // Captures, and brings the receiver forward.
  void capture(CaptureKind kind, uint32_t rounds = 0) {
    const Outcome captured = state_->capture(kind, rounds);
    ASSERT_TRUE(captured) << captured.sentence;
    receive();
  }
  void receive() {
    const Expected<ByteBuffer> message = state_->message();
    ASSERT_TRUE(message) << message.outcome().sentence;
    const Expected<MessageView> view = MessageView::of(message->view());
    ASSERT_TRUE(view) << view.outcome().sentence;
    const Outcome applied = image_.apply(*view);
    ASSERT_TRUE(applied) << applied.sentence;
  }
  bool received(uint64_t id, const void* bytes, uint64_t size_bytes) const {
    const Image::Region* region = image_.region(id);
    return region != nullptr && region->bytes.size() == size_bytes &&
           std::memcmp(region->bytes.data(), bytes, size_bytes) == 0;
  }

  StateOptions options_;
  std::unique_ptr<NamedState> state_;
  Image image_;
};

}  // namespace auxin::checkpoint::test
