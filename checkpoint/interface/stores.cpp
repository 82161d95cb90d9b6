// SPDX-License-Identifier: Apache-2.0
//
// Stores of the public header.
#include "checkpoint/interface/call.h"
#include "checkpoint/interface/handles.h"
#include "checkpoint/log/event_log.h"
#include "checkpoint/store/file_store.h"
#include "checkpoint/store/stable_store.h"
#include "checkpoint/transport/keyed_digest.h"
#include "checkpoint/transport/remote_store.h"

using namespace auxin::checkpoint;

extern "C" {

enum auxin_checkpoint_status auxin_checkpoint_store_open(
    const char* path, const struct auxin_checkpoint_store_options* options,
    auxin_checkpoint_store** store) {
  return call([&]() -> Outcome {
    FileStoreOptions how;
    if (options != nullptr) {
      if (options->size_bytes != sizeof(*options)) return wrong_call("options of another version");
      how.sync = options->no_sync == 0;
      how.read_only = options->read_only != 0;
      if (options->max_image_bytes != 0) how.max_image_bytes = options->max_image_bytes;
    }
    Expected<std::unique_ptr<FileStore>> opened = FileStore::open(path, how);
    if (!opened) return opened.outcome();
    *store = new auxin_checkpoint_store(std::move(*opened), how.max_image_bytes);
    return Outcome::ok();
  });
}

enum auxin_checkpoint_status auxin_checkpoint_store_open_stable(
    const char* path, const char* name, const struct auxin_checkpoint_store_options* options,
    auxin_checkpoint_store** store) {
  return call([&]() -> Outcome {
    uint64_t max_image_bytes = UINT64_MAX;
    if (options != nullptr && options->size_bytes != sizeof(*options)) {
      return wrong_call("options of another version");
    }
    if (options != nullptr && options->max_image_bytes != 0) {
      max_image_bytes = options->max_image_bytes;
    }
    Expected<std::unique_ptr<StableStore>> opened =
        StableStore::open(path, name, max_image_bytes);
    if (!opened) return opened.outcome();
    *store = new auxin_checkpoint_store(std::move(*opened), max_image_bytes);
    return Outcome::ok();
  });
}

enum auxin_checkpoint_status auxin_checkpoint_store_open_remote(
    const char* address, const char* name, const struct auxin_checkpoint_remote_options* options,
    auxin_checkpoint_store** store) {
  return call([&]() -> Outcome {
    struct auxin_checkpoint_remote_options given = AUXIN_CHECKPOINT_REMOTE_OPTIONS;
    if (options != nullptr) given = *options;
    if (given.size_bytes != sizeof(given)) return wrong_call("options of another version");
    RemoteOptions how;
    if (given.piece_bytes != 0) how.piece_bytes = given.piece_bytes;
    if (given.max_image_bytes != 0) how.max_image_bytes = given.max_image_bytes;
    if (given.stall_ms > INT32_MAX || given.give_up_ms > INT32_MAX) {
      return wrong_call("a time limit is too large");
    }
    if (given.stall_ms != 0) how.stall_ms = static_cast<int>(given.stall_ms);
    if (given.give_up_ms != 0) how.give_up_ms = static_cast<int>(given.give_up_ms);
    if (given.secret_file != nullptr) {
      Expected<std::string> secret = read_secret(given.secret_file);
      if (!secret) return secret.outcome();
      how.secret = std::move(*secret);
    }
    Expected<std::unique_ptr<RemoteStore>> opened = RemoteStore::open(address, name, how);
    if (!opened) return opened.outcome();
    *store = new auxin_checkpoint_store(std::move(*opened), how.max_image_bytes);
    return Outcome::ok();
  });
}

enum auxin_checkpoint_status auxin_checkpoint_store_put(auxin_checkpoint_store* store,
                                                        const auxin_checkpoint_message* message) {
  return call([&] {
    Outcome outcome = store->store->put(message->view);
    EventLog::tell_message(AUXIN_CHECKPOINT_EVENT_KEPT, message->view, outcome.status);
    return outcome;
  }, store, message);
}

enum auxin_checkpoint_status auxin_checkpoint_store_read(auxin_checkpoint_store* store,
                                                         auxin_checkpoint_image** image) {
  return call([&] {
    auto read = std::make_unique<auxin_checkpoint_image>(store->max_image_bytes);
    Outcome outcome = store->store->read(&read->image);
    if (outcome) *image = read.release();
    return outcome;
  }, store);
}

enum auxin_checkpoint_status auxin_checkpoint_store_compact(auxin_checkpoint_store* store) {
  return call([&] { return store->store->compact(); }, store);
}

void auxin_checkpoint_store_get_report(const auxin_checkpoint_store* store,
                                       struct auxin_checkpoint_store_report* report) {
  if (!living_or_told(store, HandleKind::kStore, __func__)) return;
  const StoreReport of = store->store->report();
  *report = {of.base_sequence, of.sequence, of.messages, of.bytes, of.damage.size()};
}

void auxin_checkpoint_store_close(auxin_checkpoint_store* store) {
  const WithinService within;
  if (store != nullptr && !living_or_told(store, HandleKind::kStore, __func__)) return;
  delete store;
}

}  // extern "C"
