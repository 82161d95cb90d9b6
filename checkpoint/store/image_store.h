// SPDX-License-Identifier: Apache-2.0
//
// A store that is an image in this process's memory: what a receiver applies messages to.
//
// Thread safety: one thread at a time.
#pragma once

#include "checkpoint/store/message_store.h"

namespace auxin::checkpoint {

class ImageStore : public MessageStore {
 public:
  explicit ImageStore(uint64_t max_image_bytes) : image_(max_image_bytes) {}

  // All or nothing.
  Outcome put(const MessageView& message) override;
  // A copy.
  Outcome read(Image* image) override;
  Outcome compact() override { return Outcome::ok(); }
  StoreReport report() const override { return report_; }
  Expected<ByteBuffer> message_after(const ChainPosition& have) override;

  Image& image() { return image_; }

 private:
  Image image_;
  StoreReport report_;
};

}  // namespace auxin::checkpoint
