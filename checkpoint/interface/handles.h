// SPDX-License-Identifier: Apache-2.0
//
// What is behind the opaque types of the public header, but for states (saving_state.h).
#pragma once

#include <memory>
#include <utility>

#include "auxin/checkpoint.h"
#include "checkpoint/message/image.h"
#include "checkpoint/message/message_view.h"
#include "checkpoint/message/piece.h"
#include "checkpoint/store/message_store.h"

struct auxin_checkpoint_message {
  // Of bytes that have been examined; or of somebody else's, for the time of a call.
  explicit auxin_checkpoint_message(const auxin::checkpoint::MessageView& examined)
      : view(examined) {}
  auxin_checkpoint_message(auxin::checkpoint::ByteBuffer of,
                           const auxin::checkpoint::MessageView& examined)
      : bytes(std::move(of)), view(examined) {}
  const auxin::checkpoint::ByteBuffer bytes;
  const auxin::checkpoint::MessageView view;  // of these bytes, which do not move with the buffer
};

struct auxin_checkpoint_image {
  explicit auxin_checkpoint_image(uint64_t max_bytes) : own(max_bytes), image(own) {}
  // A receiver's, for the time of a call.
  explicit auxin_checkpoint_image(auxin::checkpoint::Image& of) : image(of) {}
  auxin_checkpoint_image(const auxin_checkpoint_image&) = delete;
  auxin_checkpoint_image& operator=(const auxin_checkpoint_image&) = delete;
  auxin::checkpoint::Image own;
  auxin::checkpoint::Image& image;
};

struct auxin_checkpoint_assembly {
  explicit auxin_checkpoint_assembly(uint64_t max_bytes) : assembly(max_bytes) {}
  auxin::checkpoint::Assembly assembly;
};

struct auxin_checkpoint_store {
  std::unique_ptr<auxin::checkpoint::MessageStore> store;
  uint64_t max_image_bytes = UINT64_MAX;
};

namespace auxin::checkpoint {

// Examines the bytes, and gives them to *message.
Outcome give(Expected<ByteBuffer> bytes, auxin_checkpoint_message** message);

}  // namespace auxin::checkpoint
