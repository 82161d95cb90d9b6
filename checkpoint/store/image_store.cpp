// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/image_store.h"

namespace auxin::checkpoint {

Outcome ImageStore::put(const MessageView& message) {
  if (Outcome outcome = image_.apply(message); !outcome) return outcome;
  const uint64_t sequence = image_.position().sequence;
  report_.state = image_.position().state;
  report_.digest = message.digest();
  if (message.is_base()) report_.base_sequence = sequence;
  report_.sequence = sequence;
  report_.messages = 1;
  report_.bytes = 0;
  for (const auto& [id, region] : image_.regions()) report_.bytes += region.bytes.size();
  return Outcome::ok();
}

Outcome ImageStore::read(Image* image) {
  const Expected<ByteBuffer> base = image_.to_base(MessageOptions{});
  if (!base) return base.outcome();
  const Expected<MessageView> view = MessageView::of(base->view());
  if (!view) return view.outcome();
  return image->apply(*view);
}

Expected<ByteBuffer> ImageStore::message_after(const ChainPosition& have) {
  const ChainPosition& newest = image_.position();
  if (newest.state == have.state && newest.sequence <= have.sequence) {
    return failure(AUXIN_CHECKPOINT_EMPTY, "there is nothing newer");
  }
  return image_.to_base(MessageOptions{});
}

}  // namespace auxin::checkpoint
