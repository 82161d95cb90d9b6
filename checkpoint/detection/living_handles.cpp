// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/detection/living_handles.h"

#include <cstdio>
#include <map>
#include <mutex>

#include "checkpoint/detection/detection.h"
#include "checkpoint/log/event_log.h"

namespace auxin::checkpoint {
namespace {

constexpr const char* kNames[] = {"state",    "message",  "image", "store",
                                  "assembly", "receiver", "arena"};

struct Living {
  std::mutex mutex;
  std::map<const void*, HandleKind> kinds;
};

// Never destroyed: handles may end after it.
Living& living() {
  static Living& all = *new Living;
  return all;
}

Outcome judge(const void* handle, HandleKind kind) {
  const std::string wanted = kNames[static_cast<uint32_t>(kind)];
  if (handle == nullptr) return failure(AUXIN_CHECKPOINT_WRONG_CALL, "no " + wanted + ": null");
  const std::lock_guard lock(living().mutex);
  const auto found = living().kinds.find(handle);
  if (found == living().kinds.end()) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL,
                   "the " + wanted + " is no more, or never was: nothing is at that address");
  }
  if (found->second == kind) return Outcome::ok();
  return failure(AUXIN_CHECKPOINT_WRONG_CALL,
                 "it is no " + wanted + ": its kind is " +
                     kNames[static_cast<uint32_t>(found->second)]);
}

}  // namespace

template <HandleKind kind>
Handle<kind>::Handle() {
  const std::lock_guard lock(living().mutex);
  living().kinds[this] = kind;
}

template <HandleKind kind>
Handle<kind>::~Handle() {
  const std::lock_guard lock(living().mutex);
  living().kinds.erase(this);
}

template class Handle<HandleKind::kState>;
template class Handle<HandleKind::kMessage>;
template class Handle<HandleKind::kImage>;
template class Handle<HandleKind::kStore>;
template class Handle<HandleKind::kAssembly>;
template class Handle<HandleKind::kReceiver>;
template class Handle<HandleKind::kArena>;

Outcome demand_living(const void* handle, HandleKind kind) {
  if (!detects(AUXIN_CHECKPOINT_DETECT_CALLERS)) return Outcome::ok();
  Outcome outcome = judge(handle, kind);
  if (!outcome) EventLog::tell_detected(outcome.status, reinterpret_cast<uint64_t>(handle));
  return outcome;
}

bool living_or_told(const void* handle, HandleKind kind, const char* call) {
  const Outcome outcome = demand_living(handle, kind);
  if (!outcome) std::fprintf(stderr, "auxin: %s: %s\n", call, outcome.sentence.c_str());
  return static_cast<bool>(outcome);
}

}  // namespace auxin::checkpoint
