// SPDX-License-Identifier: Apache-2.0
//
// Goal: an image that two threads lay messages over is what one thread makes of them.
#include <gtest/gtest.h>

#include "checkpoint/message/tests/message_history.h"

namespace auxin::checkpoint {
namespace {

TEST(TwoThreads, MakeOfAnyHistoryWhatOneDoes) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    test::MessageHistory history(seed);
    Image image;
    image.take_second_threads(0);
    ASSERT_TRUE(image.apply(*MessageView::of(history.base().view())));
    for (int i = 0; i < 8; ++i) {
      const ByteBuffer increment = history.increment();
      const Outcome outcome = image.apply(*MessageView::of(increment.view()));
      ASSERT_TRUE(outcome) << outcome.sentence << ", seed " << seed;
      ASSERT_TRUE(test::equal(image, history.model())) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace auxin::checkpoint
