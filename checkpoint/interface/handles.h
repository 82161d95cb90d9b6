// SPDX-License-Identifier: Apache-2.0
//
// What is behind the opaque types of the public header, but for states (saving_state.h).
#pragma once

#include <memory>
#include <utility>

#include "auxin/checkpoint.h"
#include "checkpoint/detection/detection.h"
#include "checkpoint/detection/living_handles.h"
#include "checkpoint/message/image.h"
#include "checkpoint/message/message_view.h"
#include "checkpoint/message/piece.h"
#include "checkpoint/store/message_store.h"

struct auxin_checkpoint_message
    : auxin::checkpoint::Handle<auxin::checkpoint::HandleKind::kMessage> {
  // Of bytes that have been examined; or of somebody else's, for the time of a call.
  explicit auxin_checkpoint_message(const auxin::checkpoint::MessageView& examined)
      : view(examined) {}
  auxin_checkpoint_message(auxin::checkpoint::ByteBuffer of,
                           const auxin::checkpoint::MessageView& examined)
      : bytes(std::move(of)), view(examined) {}
  const auxin::checkpoint::ByteBuffer bytes;
  const auxin::checkpoint::MessageView view;  // of these bytes, which do not move with the buffer
};

struct auxin_checkpoint_image
    : auxin::checkpoint::Handle<auxin::checkpoint::HandleKind::kImage> {
  explicit auxin_checkpoint_image(uint64_t max_bytes) : own(max_bytes), image(own) {
    if (auxin::checkpoint::detects(AUXIN_CHECKPOINT_DETECT_IMAGES)) own.set_checked(true);
  }
  // A receiver's, for the time of a call.
  explicit auxin_checkpoint_image(auxin::checkpoint::Image& of) : image(of) {}
  auxin::checkpoint::Image own;
  auxin::checkpoint::Image& image;
};

struct auxin_checkpoint_assembly
    : auxin::checkpoint::Handle<auxin::checkpoint::HandleKind::kAssembly> {
  explicit auxin_checkpoint_assembly(uint64_t max_bytes) : assembly(max_bytes) {}
  auxin::checkpoint::Assembly assembly;
};

struct auxin_checkpoint_store
    : auxin::checkpoint::Handle<auxin::checkpoint::HandleKind::kStore> {
  auxin_checkpoint_store(std::unique_ptr<auxin::checkpoint::MessageStore> of, uint64_t max_bytes)
      : store(std::move(of)), max_image_bytes(max_bytes) {}
  std::unique_ptr<auxin::checkpoint::MessageStore> store;
  uint64_t max_image_bytes = UINT64_MAX;
};

namespace auxin::checkpoint {

// Examines the bytes, and gives them to *message.
Outcome give(Expected<ByteBuffer> bytes, auxin_checkpoint_message** message);

}  // namespace auxin::checkpoint
