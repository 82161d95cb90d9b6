// SPDX-License-Identifier: Apache-2.0
#include "analysis/graph/objects.h"

#include <algorithm>
#include <queue>
#include <string_view>
#include <unordered_map>

namespace auxin::analysis {
namespace {

using recording::kKindMask;

enum class Use : uint8_t { kNone, kUses, kMakes, kEnds, kMakesResult };

struct CallUse {
  Use use = Use::kNone;
  ObjectKind kind = ObjectKind::kMutex;
  bool wait = false;  // on a condition; the mutex follows
};

bool starts(std::string_view text, std::string_view with) { return text.starts_with(with); }

// What a call does to its first argument.
CallUse use_of(const TraceCall& call) {
  const std::string_view name = call.name;
  using os::Family;
  const auto with = [&](ObjectKind kind) {
    const bool makes = name.ends_with("_init"), ends = name.ends_with("_destroy");
    return CallUse{makes ? Use::kMakes : ends ? Use::kEnds : Use::kUses, kind, false};
  };
  switch (call.family) {
    case Family::mutex: return with(ObjectKind::kMutex);
    case Family::rwlock: return with(ObjectKind::kRwlock);
    case Family::semaphore: return with(ObjectKind::kSemaphore);
    case Family::spin: return with(ObjectKind::kSpin);
    case Family::barrier: return with(ObjectKind::kBarrier);
    case Family::once: return with(ObjectKind::kOnce);
    case Family::condition: {
      CallUse use = with(ObjectKind::kCondition);
      use.wait = name.find("wait") != std::string_view::npos;
      return use;
    }
    case Family::c11: {
      if (starts(name, "thrd_")) return {};
      if (name == "call_once") return with(ObjectKind::kOnce);
      CallUse use = with(starts(name, "cnd_") ? ObjectKind::kCondition : ObjectKind::kMutex);
      use.wait = starts(name, "cnd_") && name.find("wait") != std::string_view::npos;
      return use;
    }
    case Family::socket:
      if (name == "socket" || starts(name, "accept")) {
        return {Use::kMakesResult, ObjectKind::kConnection, false};
      }
      if (name == "socketpair") return {};
      return {Use::kUses, ObjectKind::kConnection, false};
    case Family::transfer: return {Use::kUses, ObjectKind::kConnection, false};
    case Family::descriptor:
      if (name == "close") return {Use::kEnds, ObjectKind::kConnection, false};
      return {};
    default: return {};
  }
}

// Mutexes, conditions … have one space of addresses, connections one of numbers.
uint64_t key_of(ObjectKind kind, uint64_t address) {
  return kind == ObjectKind::kConnection ? address | uint64_t{1} << 63 : address;
}

class Finder {
 public:
  explicit Finder(const Trace& trace) : trace_(trace) {
    for (const TraceCall& call : trace.calls) uses_.push_back(use_of(call));
  }

  TraceObjects find() {
    found_.of_event.resize(trace_.threads.size());
    found_.second_of_event.resize(trace_.threads.size());
    // The threads' events merged by time.
    using Next = std::pair<uint64_t, uint32_t>;  // time, thread
    std::priority_queue<Next, std::vector<Next>, std::greater<>> next;
    std::vector<size_t> at(trace_.threads.size());
    for (uint32_t thread = 0; thread < trace_.threads.size(); ++thread) {
      found_.of_event[thread].assign(trace_.threads[thread].events.size(), kNoObject);
      if (skip_marks(thread, &at[thread])) next.emplace(time_of(thread, at[thread]), thread);
    }
    while (!next.empty()) {
      const uint32_t thread = next.top().second;
      next.pop();
      take(thread, at[thread]);
      ++at[thread];
      if (skip_marks(thread, &at[thread])) next.emplace(time_of(thread, at[thread]), thread);
    }
    return std::move(found_);
  }

 private:
  // Only calls have a time of their own; what follows a call belongs to it.
  bool skip_marks(uint32_t thread, size_t* at) const {
    const auto& events = trace_.threads[thread].events;
    while (*at < events.size() && !trace_.is_call(events[*at])) ++*at;
    return *at < events.size();
  }
  uint64_t time_of(uint32_t thread, size_t at) const {
    const Event& event = trace_.threads[thread].events[at];
    return event.begin + event.duration;  // when it had taken effect
  }

  uint32_t object_at(ObjectKind kind, uint64_t address, const Event& event) {
    const auto [there, is_new] = alive_.emplace(key_of(kind, address), 0);
    // The same address with another kind of object on it is another object.
    if (!is_new && found_.objects[there->second].kind == kind) return there->second;
    there->second = make(kind, address, event);
    return there->second;
  }

  uint32_t make(ObjectKind kind, uint64_t address, const Event& event) {
    TraceObject object;
    object.kind = kind;
    object.address = address;
    object.first_path = event.path;
    found_.objects.push_back(object);
    return static_cast<uint32_t>(found_.objects.size() - 1);
  }

  void take(uint32_t thread, size_t at) {
    const Event& event = trace_.threads[thread].events[at];
    const uint16_t row = event.kind & kKindMask;
    const CallUse& use = uses_[row];
    switch (use.use) {
      case Use::kNone: return;
      case Use::kMakes:
      case Use::kMakesResult: {
        if (use.use == Use::kMakesResult && event.result < 0) return;
        const uint64_t address = use.use == Use::kMakes ? event.object
                                                        : static_cast<uint64_t>(event.result);
        const uint32_t index = make(use.kind, address, event);
        found_.objects[index].made_path = event.path;
        found_.objects[index].made_in = event.join_point;
        found_.objects[index].made_by = row;
        alive_[key_of(use.kind, address)] = index;
        found_.of_event[thread][at] = index;
        return;
      }
      case Use::kEnds: {
        const uint32_t index = object_at(use.kind, event.object, event);
        found_.of_event[thread][at] = index;
        alive_.erase(key_of(use.kind, event.object));
        return;
      }
      case Use::kUses: break;
    }
    const uint32_t index = object_at(use.kind, event.object, event);
    note(index, event);
    found_.of_event[thread][at] = index;
    const auto& events = trace_.threads[thread].events;
    if (!use.wait || at + 1 >= events.size() ||
        (events[at + 1].kind & kKindMask) != recording::kSecond) {
      return;
    }
    auto& seconds = found_.second_of_event[thread];
    if (seconds.empty()) seconds.assign(events.size(), kNoObject);
    seconds[at] = object_at(ObjectKind::kMutex, events[at + 1].object, event);
  }

  void note(uint32_t index, const Event& event) {
    TraceObject& object = found_.objects[index];
    ++object.uses;
    if ((event.kind & recording::kOrdered) != 0) ++object.ordered;
    if ((event.kind & recording::kIntercepted) != 0) ++object.intercepted;
  }

  const Trace& trace_;
  std::vector<CallUse> uses_;
  TraceObjects found_;
  std::unordered_map<uint64_t, uint32_t> alive_;
};

}  // namespace

const char* name_of(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kMutex: return "mutex";
    case ObjectKind::kRwlock: return "rwlock";
    case ObjectKind::kSemaphore: return "semaphore";
    case ObjectKind::kSpin: return "spin lock";
    case ObjectKind::kBarrier: return "barrier";
    case ObjectKind::kOnce: return "once";
    case ObjectKind::kCondition: return "condition";
    case ObjectKind::kConnection: return "connection";
  }
  return "";
}

TraceObjects find_objects(const Trace& trace) { return Finder(trace).find(); }

}  // namespace auxin::analysis
