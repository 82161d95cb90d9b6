// SPDX-License-Identifier: Apache-2.0
//
// Verifies a message's contents while they come, from the first byte on: each run when it is
// complete, while it is still in the processor's caches. Header and tables must be there.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>

#include "checkpoint/message/byte_buffer.h"
#include "checkpoint/message/message_view.h"

namespace auxin::checkpoint {

class ContentsCheck {
 public:
  // The bytes that `message` looks at must stay where they are.
  explicit ContentsCheck(const MessageView& message) : message_(message), walk_(message_) {}
  ContentsCheck(const ContentsCheck&) = delete;
  ContentsCheck& operator=(const ContentsCheck&) = delete;

  // All bytes of the message before `there_bytes` have come.
  void advance(uint64_t there_bytes);
  // All contents have been verified, and are good.
  bool good() const { return all_ && good_; }

 private:
  bool next_run();

  const MessageView message_;
  MessageView::Walk walk_;
  RegionRecord region_{};
  RunRecord run_{};
  const uint8_t* stored_ = nullptr;  // null: there is no current run
  bool in_region_ = false, all_ = false, good_ = true;
  ByteBuffer scratch_;
};

}  // namespace auxin::checkpoint
