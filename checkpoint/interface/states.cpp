// SPDX-License-Identifier: Apache-2.0
//
// States and arenas of the public header.
#include "checkpoint/detection/detection.h"
#include "checkpoint/detection/memory_access.h"
#include "checkpoint/interface/call.h"
#include "checkpoint/interface/saving_state.h"
#include "checkpoint/log/event_log.h"

using namespace auxin::checkpoint;

namespace {

Outcome demand_mapped(const void* address, uint64_t size_bytes) {
  if (!detects(AUXIN_CHECKPOINT_DETECT_CALLERS) ||
      is_mapped(reinterpret_cast<uint64_t>(address), size_bytes)) {
    return Outcome::ok();
  }
  EventLog::tell_detected(AUXIN_CHECKPOINT_WRONG_CALL, reinterpret_cast<uint64_t>(address));
  return wrong_call("something in the range is not mapped");
}

}  // namespace

extern "C" {

enum auxin_checkpoint_status auxin_checkpoint_state_create(
    const struct auxin_checkpoint_options* options, auxin_checkpoint_state** state) {
  return call([&]() -> Outcome {
    struct auxin_checkpoint_options given = AUXIN_CHECKPOINT_OPTIONS;
    if (options != nullptr) given = *options;
    if (given.size_bytes != sizeof(given)) return wrong_call("options of another version");
    if (given.method >= kTrackingMethodCount) return wrong_call("there is no such method");
    StateOptions how;
    how.method = static_cast<TrackingMethod>(given.method);
    how.adaptive = given.not_adaptive == 0;
    how.message.lz4 = given.lz4 != 0;
    how.message.checksums = given.no_checksums == 0;
    how.check_tables = detects(AUXIN_CHECKPOINT_DETECT_TABLES);
    how.read_carefully = detects(AUXIN_CHECKPOINT_DETECT_MEMORY);
    how.pause = given.pause;
    how.resume = given.resume;
    how.pause_context = given.pause_context;
    Expected<std::unique_ptr<NamedState>> named = NamedState::create(how);
    if (!named) return named.outcome();
    *state = new auxin_checkpoint_state(std::move(*named), given.rounds, given.base_every);
    return Outcome::ok();
  });
}

void auxin_checkpoint_state_destroy(auxin_checkpoint_state* state) {
  const WithinService within;
  if (state != nullptr && !living_or_told(state, HandleKind::kState, __func__)) return;
  delete state;
}

enum auxin_checkpoint_status auxin_checkpoint_add_range(auxin_checkpoint_state* state, uint64_t id,
                                                        void* address, uint64_t size_bytes) {
  return call([&] {
    if (Outcome outcome = demand_mapped(address, size_bytes); !outcome) return outcome;
    return state->state.with([&](NamedState& of) { return of.add_range(id, address, size_bytes); });
  }, state);
}

enum auxin_checkpoint_status auxin_checkpoint_resize(auxin_checkpoint_state* state, uint64_t id,
                                                     void* address, uint64_t size_bytes) {
  return call([&] {
    return state->state.with([&](NamedState& of) { return of.resize(id, address, size_bytes); });
  }, state);
}

enum auxin_checkpoint_status auxin_checkpoint_remove(auxin_checkpoint_state* state, uint64_t id) {
  return call([&] { return state->state.remove(id); }, state);
}

enum auxin_checkpoint_status auxin_checkpoint_add_object(auxin_checkpoint_state* state,
                                                         uint64_t id, void* object,
                                                         uint64_t size_bytes,
                                                         auxin_checkpoint_mark* mark) {
  return call([&] {
    if (Outcome outcome = demand_mapped(object, size_bytes); !outcome) return outcome;
    return state->state.with(
        [&](NamedState& of) { return of.add_object(id, object, size_bytes, &mark->byte); });
  }, state);
}

void auxin_checkpoint_set_user_word(auxin_checkpoint_state* state, uint64_t word) {
  if (!living_or_told(state, HandleKind::kState, __func__)) return;
  state->state.with([&](NamedState& of) { of.set_user_word(word); });
}

uint64_t auxin_checkpoint_user_word(auxin_checkpoint_state* state) {
  if (!living_or_told(state, HandleKind::kState, __func__)) return 0;
  return state->state.with([](NamedState& of) { return of.user_word(); });
}

enum auxin_checkpoint_status auxin_checkpoint_arena_create(auxin_checkpoint_state* state,
                                                           uint64_t id, uint64_t size_bytes,
                                                           auxin_checkpoint_arena** arena) {
  return call([&] { return state->state.create_arena(id, size_bytes, arena); }, state);
}

void* auxin_checkpoint_arena_allocate(auxin_checkpoint_arena* arena, uint64_t size_bytes) {
  if (!living_or_told(arena, HandleKind::kArena, __func__)) return nullptr;
  return arena->arena->allocate(size_bytes);
}

void auxin_checkpoint_arena_free(auxin_checkpoint_arena* arena, void* memory) {
  if (!living_or_told(arena, HandleKind::kArena, __func__)) return;
  arena->arena->free(memory);
}

void auxin_checkpoint_arena_set_root(auxin_checkpoint_arena* arena, void* root) {
  if (!living_or_told(arena, HandleKind::kArena, __func__)) return;
  arena->arena->set_root(root);
}

void* auxin_checkpoint_arena_root(auxin_checkpoint_arena* arena) {
  if (!living_or_told(arena, HandleKind::kArena, __func__)) return nullptr;
  return arena->arena->root();
}

int auxin_checkpoint_arena_moved(auxin_checkpoint_arena* arena) {
  if (!living_or_told(arena, HandleKind::kArena, __func__)) return 0;
  return arena->arena->moved() ? 1 : 0;
}

uint64_t auxin_checkpoint_arena_free_bytes(auxin_checkpoint_arena* arena) {
  if (!living_or_told(arena, HandleKind::kArena, __func__)) return 0;
  return arena->arena->free_bytes();
}

enum auxin_checkpoint_status auxin_checkpoint_capture(auxin_checkpoint_state* state,
                                                      enum auxin_checkpoint_kind kind) {
  return call([&] {
    return state->state.capture(kind == AUXIN_CHECKPOINT_BASE ? CaptureKind::kBase
                                                              : CaptureKind::kIncrement);
  }, state);
}

enum auxin_checkpoint_status auxin_checkpoint_take_message(auxin_checkpoint_state* state,
                                                           auxin_checkpoint_message** message) {
  return call([&] {
    Outcome outcome =
        give(state->state.with([](NamedState& of) { return of.message(); }), message);
    if (outcome) EventLog::tell_message(AUXIN_CHECKPOINT_EVENT_MADE, (*message)->view);
    return outcome;
  }, state);
}

void auxin_checkpoint_abandon(auxin_checkpoint_state* state) {
  if (!living_or_told(state, HandleKind::kState, __func__)) return;
  state->state.with([](NamedState& of) { of.abandon(); });
}

enum auxin_checkpoint_status auxin_checkpoint_save(auxin_checkpoint_state* state,
                                                   auxin_checkpoint_store* store) {
  return call([&] { return state->state.save(*store); }, state, store);
}

enum auxin_checkpoint_status auxin_checkpoint_save_begin(auxin_checkpoint_state* state,
                                                         auxin_checkpoint_store* store) {
  return call([&] { return state->state.save_begin(*store); }, state, store);
}

enum auxin_checkpoint_status auxin_checkpoint_save_wait(auxin_checkpoint_state* state) {
  return call([&] { return state->state.save_wait(); }, state);
}

enum auxin_checkpoint_status auxin_checkpoint_restore(auxin_checkpoint_state* state,
                                                      auxin_checkpoint_store* store) {
  return call([&] { return state->state.restore(*store); }, state, store);
}

enum auxin_checkpoint_status auxin_checkpoint_restore_image(auxin_checkpoint_state* state,
                                                            const auxin_checkpoint_image* image) {
  return call([&] {
    if (Outcome outcome = image->image.check(); !outcome) return outcome;
    return state->state.with([&](NamedState& of) { return of.restore(image->image); });
  }, state, image);
}

enum auxin_checkpoint_status auxin_checkpoint_schedule(auxin_checkpoint_state* state,
                                                       auxin_checkpoint_store* store,
                                                       uint64_t requests, uint64_t milliseconds) {
  return call([&] { return state->state.schedule(store, requests, milliseconds); }, state);
}

enum auxin_checkpoint_status auxin_checkpoint_request_done(auxin_checkpoint_state* state) {
  return call([&] { return state->state.request_done(); }, state);
}

void auxin_checkpoint_get_statistics(auxin_checkpoint_state* state,
                                     struct auxin_checkpoint_statistics* statistics) {
  if (!living_or_told(state, HandleKind::kState, __func__)) return;
  // What a caller of another version does not know of is not written.
  struct auxin_checkpoint_statistics all = {};
  state->state.get_statistics(&all);
  all.size_bytes = statistics->size_bytes;
  std::memcpy(statistics, &all, std::min<uint64_t>(statistics->size_bytes, sizeof(all)));
}

}  // extern "C"
