// SPDX-License-Identifier: Apache-2.0
//
// Receivers of the public header: a service whose states are images in this process's memory.
#include "checkpoint/interface/call.h"
#include "checkpoint/interface/handles.h"
#include "checkpoint/server/service.h"
#include "checkpoint/store/image_store.h"
#include "checkpoint/transport/keyed_digest.h"

using namespace auxin::checkpoint;

struct auxin_checkpoint_receiver : Handle<HandleKind::kReceiver> {
  std::unique_ptr<MemoryStates> states;
  std::unique_ptr<Service> service;  // ends before its states
};

namespace {

ImageStore& image_store(MessageStore& store) { return static_cast<ImageStore&>(store); }

Outcome open_receiver(const char* address, const struct auxin_checkpoint_receiver_options& given,
                      auxin_checkpoint_receiver** receiver) {
  ServiceOptions how;
  how.address = address;
  if (given.max_message_bytes != 0) how.max_message_bytes = given.max_message_bytes;
  how.max_transfer_bytes = 2 * how.max_message_bytes;
  if (given.secret_file != nullptr) {
    Expected<std::string> secret = read_secret(given.secret_file);
    if (!secret) return secret.outcome();
    how.secret = std::move(*secret);
  }
  if (given.through != nullptr) {
    how.through = [given](const std::string& name, const MessageView& view) -> Outcome {
      const auxin_checkpoint_message message(view);
      const Status status = given.through(given.context, name.c_str(), &message);
      if (status == AUXIN_CHECKPOINT_OK) return Outcome::ok();
      return failure(status, name + ": the receiver's intermediary did not pass the message");
    };
  }
  if (given.applied != nullptr) {
    how.kept = [given](const std::string& name, const MessageView&, MessageStore& store) {
      const auxin_checkpoint_image image(image_store(store).image());
      given.applied(given.context, name.c_str(), &image);
    };
  }
  constexpr uint64_t kUsualNames = 64;
  auto made = std::make_unique<auxin_checkpoint_receiver>();
  made->states = std::make_unique<MemoryStates>(
      given.max_image_bytes != 0 ? given.max_image_bytes : how.max_message_bytes,
      given.max_names != 0 ? given.max_names : kUsualNames,
      given.checked != 0 || detects(AUXIN_CHECKPOINT_DETECT_IMAGES));
  Expected<std::unique_ptr<Service>> service = Service::start(how, made->states.get());
  if (!service) return service.outcome();
  made->service = std::move(*service);
  *receiver = made.release();
  return Outcome::ok();
}

}  // namespace

extern "C" {

enum auxin_checkpoint_status auxin_checkpoint_receiver_open(
    const char* address, const struct auxin_checkpoint_receiver_options* options,
    auxin_checkpoint_receiver** receiver) {
  return call([&]() -> Outcome {
    struct auxin_checkpoint_receiver_options given = AUXIN_CHECKPOINT_RECEIVER_OPTIONS;
    if (options != nullptr) given = *options;
    if (given.size_bytes != sizeof(given)) return wrong_call("options of another version");
    return open_receiver(address, given, receiver);
  });
}

const char* auxin_checkpoint_receiver_address(const auxin_checkpoint_receiver* receiver) {
  if (!living_or_told(receiver, HandleKind::kReceiver, __func__)) return nullptr;
  return receiver->service->address().c_str();
}

enum auxin_checkpoint_status auxin_checkpoint_receiver_look(
    auxin_checkpoint_receiver* receiver, const char* name,
    void (*look)(void* context, const auxin_checkpoint_image* image), void* context) {
  return call([&]() -> Outcome {
    Outcome outcome;
    const std::shared_ptr<KeptState> state = receiver->states->find(name, false, &outcome);
    if (state == nullptr) return outcome;
    const std::lock_guard lock(state->mutex);
    Image& of = image_store(*state->store).image();
    if (of.position().sequence == 0) {
      return failure(AUXIN_CHECKPOINT_EMPTY, std::string(name) + ": no message has come");
    }
    const auxin_checkpoint_image image(of);
    look(context, &image);
    return Outcome::ok();
  }, receiver);
}

void auxin_checkpoint_receiver_close(auxin_checkpoint_receiver* receiver) {
  const WithinService within;
  if (receiver != nullptr && !living_or_told(receiver, HandleKind::kReceiver, __func__)) return;
  delete receiver;
}

}  // extern "C"
