// SPDX-License-Identifier: Apache-2.0
//
// Messages, pieces and images of the public header.
#include "checkpoint/interface/call.h"
#include "checkpoint/interface/handles.h"
#include "checkpoint/log/event_log.h"
#include "checkpoint/message/merge.h"
#include "checkpoint/message/transfer.h"

namespace auxin::checkpoint {

Outcome give(Expected<ByteBuffer> bytes, auxin_checkpoint_message** message) {
  if (!bytes) return bytes.outcome();
  const Expected<MessageView> view = MessageView::of(bytes->view());
  if (!view) return view.outcome();
  *message = new auxin_checkpoint_message(std::move(*bytes), *view);
  return Outcome::ok();
}

}  // namespace auxin::checkpoint

using namespace auxin::checkpoint;

extern "C" {

void auxin_checkpoint_message_get_info(const auxin_checkpoint_message* message,
                                       struct auxin_checkpoint_message_info* info) {
  if (!living_or_told(message, HandleKind::kMessage, __func__)) return;
  const MessageHeader& header = message->view.header();
  *info = {header.state,
           header.from_sequence,
           header.sequence,
           header.taken_at_ns,
           header.user_word,
           message->view.digest(),
           header.content_bytes,
           header.total_bytes,
           header.region_count,
           message->view.is_base() ? 1u : 0u};
}

const void* auxin_checkpoint_message_bytes(const auxin_checkpoint_message* message,
                                           uint64_t* size_bytes) {
  if (!living_or_told(message, HandleKind::kMessage, __func__)) return nullptr;
  *size_bytes = message->view.bytes().size();
  return message->view.bytes().data();
}

enum auxin_checkpoint_status auxin_checkpoint_message_of_bytes(const void* bytes,
                                                               uint64_t size_bytes,
                                                               auxin_checkpoint_message** message) {
  return call([&]() -> Outcome {
    const std::span<const uint8_t> given(static_cast<const uint8_t*>(bytes), size_bytes);
    const Expected<MessageView> view = MessageView::of(given);
    if (!view) return view.outcome();
    if (Outcome outcome = view->verify_contents(); !outcome) return outcome;
    ByteBuffer copy;
    if (!copy.append(bytes, size_bytes)) throw std::bad_alloc();
    return give(std::move(copy), message);
  });
}

enum auxin_checkpoint_status auxin_checkpoint_message_merge(const auxin_checkpoint_message* older,
                                                            const auxin_checkpoint_message* newer,
                                                            auxin_checkpoint_message** merged) {
  return call([&] { return give(merge(older->view, newer->view), merged); }, older, newer);
}

void auxin_checkpoint_message_free(auxin_checkpoint_message* message) {
  if (message != nullptr && !living_or_told(message, HandleKind::kMessage, __func__)) return;
  delete message;
}

enum auxin_checkpoint_status auxin_checkpoint_message_send(const auxin_checkpoint_message* message,
                                                           int fd) {
  return call([&] {
    Outcome outcome = send_message(fd, message->view);
    EventLog::tell_message(AUXIN_CHECKPOINT_EVENT_SENT, message->view, outcome.status);
    return outcome;
  }, message);
}

enum auxin_checkpoint_status auxin_checkpoint_message_receive(int fd, uint64_t max_bytes,
                                                              auxin_checkpoint_message** message) {
  return call([&]() -> Outcome {
    Expected<ByteBuffer> bytes = receive_message(fd, max_bytes);
    if (!bytes) return bytes.outcome();
    const Expected<MessageView> view = MessageView::of(bytes->view());
    if (!view) return view.outcome();
    Outcome outcome = view->verify_contents();
    EventLog::tell_message(AUXIN_CHECKPOINT_EVENT_RECEIVED, *view, outcome.status);
    if (!outcome) return outcome;
    return give(std::move(bytes), message);
  });
}

uint32_t auxin_checkpoint_piece_count(const auxin_checkpoint_message* message,
                                      uint32_t piece_bytes) {
  if (!living_or_told(message, HandleKind::kMessage, __func__)) return 0;
  return piece_bytes == 0 ? 0 : piece_count(message->view.bytes().size(), piece_bytes);
}

enum auxin_checkpoint_status auxin_checkpoint_piece(const auxin_checkpoint_message* message,
                                                    uint32_t piece_bytes, uint32_t index,
                                                    void* buffer, uint64_t* size_bytes) {
  return call([&]() -> Outcome {
    const Expected<ByteBuffer> piece = piece_of(message->view, piece_bytes, index);
    if (!piece) return piece.outcome();
    if (piece->size() > *size_bytes) {
      return failure(AUXIN_CHECKPOINT_SIZE, "the piece is larger than the buffer");
    }
    std::memcpy(buffer, piece->data(), piece->size());
    *size_bytes = piece->size();
    return Outcome::ok();
  }, message);
}

enum auxin_checkpoint_status auxin_checkpoint_assembly_create(
    uint64_t max_bytes, auxin_checkpoint_assembly** assembly) {
  return call([&] {
    *assembly = new auxin_checkpoint_assembly(max_bytes);
    return Outcome::ok();
  });
}

enum auxin_checkpoint_status auxin_checkpoint_assembly_add(auxin_checkpoint_assembly* assembly,
                                                           const void* piece,
                                                           uint64_t size_bytes) {
  return call([&] {
    return assembly->assembly.add({static_cast<const uint8_t*>(piece), size_bytes});
  }, assembly);
}

uint32_t auxin_checkpoint_assembly_missing(const auxin_checkpoint_assembly* assembly,
                                           uint32_t* indices, uint32_t room, uint64_t* digest) {
  if (!living_or_told(assembly, HandleKind::kAssembly, __func__)) return 0;
  *digest = assembly->assembly.message_digest();
  const std::vector<uint32_t> missing = assembly->assembly.missing(room);
  std::memcpy(indices, missing.data(), missing.size() * sizeof(uint32_t));
  return static_cast<uint32_t>(missing.size());
}

enum auxin_checkpoint_status auxin_checkpoint_assembly_take(auxin_checkpoint_assembly* assembly,
                                                            auxin_checkpoint_message** message) {
  return call([&]() -> Outcome {
    Expected<ByteBuffer> bytes = assembly->assembly.take();
    if (!bytes) return bytes.outcome();
    const Expected<MessageView> view = MessageView::of(bytes->view());
    if (!view) return view.outcome();
    if (Outcome outcome = view->verify_contents(); !outcome) return outcome;
    return give(std::move(bytes), message);
  }, assembly);
}

void auxin_checkpoint_assembly_destroy(auxin_checkpoint_assembly* assembly) {
  if (assembly != nullptr && !living_or_told(assembly, HandleKind::kAssembly, __func__)) return;
  delete assembly;
}

enum auxin_checkpoint_status auxin_checkpoint_image_create(uint64_t max_bytes,
                                                           auxin_checkpoint_image** image) {
  return call([&] {
    *image = new auxin_checkpoint_image(max_bytes);
    return Outcome::ok();
  });
}

enum auxin_checkpoint_status auxin_checkpoint_image_apply(auxin_checkpoint_image* image,
                                                          const auxin_checkpoint_message* message) {
  return call([&] {
    Outcome outcome = image->image.apply(message->view);
    EventLog::tell_message(AUXIN_CHECKPOINT_EVENT_APPLIED, message->view, outcome.status);
    return outcome;
  }, image, message);
}

void auxin_checkpoint_image_set_checked(auxin_checkpoint_image* image, int checked) {
  if (!living_or_told(image, HandleKind::kImage, __func__)) return;
  image->image.set_checked(checked != 0);
}

enum auxin_checkpoint_status auxin_checkpoint_image_check(const auxin_checkpoint_image* image) {
  return call([&] { return image->image.check(); }, image);
}

enum auxin_checkpoint_status auxin_checkpoint_image_region(const auxin_checkpoint_image* image,
                                                           uint64_t id, const void** bytes,
                                                           uint64_t* size_bytes) {
  return call([&]() -> Outcome {
    const Image::Region* region = image->image.region(id);
    if (region == nullptr) {
      return failure(AUXIN_CHECKPOINT_UNKNOWN,
                     "the image has no region " + std::to_string(id));
    }
    *bytes = region->bytes.data();
    *size_bytes = region->bytes.size();
    return Outcome::ok();
  }, image);
}

uint64_t auxin_checkpoint_image_sequence(const auxin_checkpoint_image* image) {
  if (!living_or_told(image, HandleKind::kImage, __func__)) return 0;
  return image->image.position().sequence;
}

uint64_t auxin_checkpoint_image_user_word(const auxin_checkpoint_image* image) {
  if (!living_or_told(image, HandleKind::kImage, __func__)) return 0;
  return image->image.user_word();
}

enum auxin_checkpoint_status auxin_checkpoint_image_message(const auxin_checkpoint_image* image,
                                                            auxin_checkpoint_message** message) {
  return call([&] { return give(image->image.to_base(MessageOptions{}), message); }, image);
}

void auxin_checkpoint_image_destroy(auxin_checkpoint_image* image) {
  if (image != nullptr && !living_or_told(image, HandleKind::kImage, __func__)) return;
  delete image;
}

}  // extern "C"
