// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/message_store.h"

namespace auxin::checkpoint {

Expected<ByteBuffer> MessageStore::message_after(const ChainPosition& have) {
  Image image;
  if (Outcome outcome = read(&image); !outcome) return outcome;
  const ChainPosition& newest = image.position();
  if (newest.state == have.state && newest.sequence <= have.sequence) {
    return failure(AUXIN_CHECKPOINT_EMPTY, "there is nothing newer");
  }
  return image.to_base(MessageOptions{});
}

}  // namespace auxin::checkpoint
