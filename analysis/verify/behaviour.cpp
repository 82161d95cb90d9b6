// SPDX-License-Identifier: Apache-2.0
#include "analysis/verify/behaviour.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "analysis/graph/build.h"
#include "analysis/locks/synchronisation_calls.h"
#include "analysis/trace/symbols.h"

namespace auxin::analysis {
namespace {

using recording::kKindMask;

// Of the C++ library, compiled into the program from its headers.
bool is_wrapper(std::string_view function) {
  return function.starts_with("std::") || function.starts_with("__gnu_cxx::") ||
         function.starts_with("__gthread") || function.starts_with("void std::") ||
         function.starts_with("bool std::");
}

uint32_t hash_of(const TraceFrame& frame) {
  uint64_t value = 0xcbf29ce484222325ull ^ frame.offset;
  for (const char c : frame.object) {
    value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  }
  value *= 0x9E3779B97F4A7C15ull;
  return static_cast<uint32_t>(value >> 32) | 1;
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// One thread's events, read in order.
class ThreadReader {
 public:
  ThreadReader(const Trace& trace, const IsMiddleware& is_middleware, uint32_t thread,
               Behaviour* found, std::map<PassKey, uint32_t>* ordinals)
      : trace_(trace), is_middleware_(is_middleware), thread_(thread), found_(found),
        ordinals_(*ordinals) {}

  void read() {
    const auto& events = trace_.threads[thread_].events;
    for (size_t i = 0; i < events.size(); ++i) {
      const Event& event = events[i];
      if (trace_.is_call(event)) {
        take_call(i, event);
      } else {
        take_mark(event);
      }
      if (event.begin != 0) last_ = std::max(last_, event.begin + event.duration);
    }
    end_work(last_);
    for (const uint32_t open : open_) found_->sections[open].released = last_;
  }

 private:
  void take_mark(const Event& event) {
    switch (event.kind & kKindMask) {
      case recording::kActivity:
        end_work(event.begin);
        activity_ = event.object;
        if (is_thread_activity(activity_)) begin_work(event.begin);
        break;
      case recording::kEntered:
        if (role_of(event) == "upcall" && activity_ != 0 && !is_thread_activity(activity_)) {
          end_work(event.begin);
          begin_work(event.begin);
        }
        if (role_of(event) == "contention-point" && activity_ != 0) {
          found_->ordered_calls.push_back(
              {activity_, trace_.join_points[event.join_point].name});
        }
        break;
      case recording::kLeft:
        if (role_of(event) == "upcall" && !is_thread_activity(activity_)) end_work(event.begin);
        break;
      case recording::kOperation:
        if (working_) work_.operation = trace_.text_at(event.object);
        break;
      case recording::kServant:
        if (working_ && !work_.operation.empty()) {
          work_.function = demangled(trace_.text_at(event.object)) + "::" + work_.operation;
        }
        break;
      default: break;
    }
  }

  std::string_view role_of(const Event& event) const {
    if (event.join_point >= trace_.join_points.size()) return {};
    return trace_.join_points[event.join_point].role;
  }

  void begin_work(uint64_t when) {
    work_ = Work{};
    work_.activity = activity_;
    work_.begin = when;
    working_ = true;
  }

  void end_work(uint64_t when) {
    if (!working_) return;
    working_ = false;
    work_.end = when;
    if (work_.function.empty()) work_.function = work_.operation;
    found_->works.push_back(std::move(work_));
    work_ = Work{};
  }

  void take_call(size_t at, const Event& event) {
    const std::string& name = trace_.call_of(event).name;
    if (working_) work_.last_call = event.begin + event.duration;
    if (working_ && is_thread_activity(activity_) && work_.function.empty()) {
      work_.function = function_of(trace_, event.path);
    }
    switch (synchronisation_of(name)) {
      case Synchronisation::kNone: return;
      case Synchronisation::kReleases: return release(at, event, name);
      case Synchronisation::kAcquires: break;
    }
    if (name == "sem_getvalue" || name == "pthread_barrier_wait") return;
    const bool is_wait = has(name, "cond_") || has(name, "cnd_");
    uint32_t object = found_->objects.of_event[thread_][at];
    if (is_wait) {
      const auto& seconds = found_->objects.second_of_event[thread_];
      object = seconds.empty() ? kNoObject : seconds[at];
      close(object, event.begin);
    } else if (event.result != 0) {
      return;  // it was not acquired (or, of a robust one, is beyond what is told here)
    }
    if (object == kNoObject) return;
    open(object, event, name);
  }

  void open(uint32_t object, const Event& event, const std::string& name) {
    Section section;
    section.key.activity = activity_;
    const auto path = trace_.path(event.path);
    section.key.site = path.empty() ? 0 : hash_of(trace_.frames[path[0]]);
    section.key.ordinal = ordinals_[section.key]++;
    section.object = object;
    section.path = event.path;
    section.acquired = event.begin + event.duration;
    section.thread = thread_;
    section.ordered = is_ordered(object, event);
    section.shared = has(name, "rdlock");
    section.middleware = of_middleware(event.path);
    section.held = open_;
    found_->sections.push_back(std::move(section));
    const auto index = static_cast<uint32_t>(found_->sections.size() - 1);
    if (found_->objects.objects[object].kind == ObjectKind::kOnce) {
      found_->sections[index].released = event.begin + event.duration;
    } else {
      open_.push_back(index);
    }
  }

  bool is_ordered(uint32_t object, const Event& event) const {
    if ((event.kind & recording::kOrdered) != 0) return true;
    // What goes by its call site and has no class of its own is not counted as ordered; it is where
    // it was intercepted for an activity.
    const ObjectKind kind = found_->objects.objects[object].kind;
    return (kind == ObjectKind::kOnce || kind == ObjectKind::kSpin) && activity_ != 0 &&
           (event.kind & recording::kIntercepted) != 0;
  }

  bool of_middleware(uint32_t path) const {
    for (const uint32_t frame : trace_.path(path)) {
      const TraceFrame& each = trace_.frames[frame];
      if (is_between(each.object)) continue;
      return is_middleware_(each.object);
    }
    return true;  // a thread's first frames, or nothing known
  }

  void release(size_t at, const Event& event, const std::string& name) {
    if (has(name, "unlock") || name == "sem_post") {
      close(found_->objects.of_event[thread_][at], event.begin);
    }
  }

  // A semaphore may be posted by another thread: then its section stays open here.
  void close(uint32_t object, uint64_t when) {
    for (size_t i = open_.size(); i-- > 0;) {
      if (found_->sections[open_[i]].object != object) continue;
      found_->sections[open_[i]].released = when;
      open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
  }

  const Trace& trace_;
  const IsMiddleware& is_middleware_;
  const uint32_t thread_;
  Behaviour* const found_;
  std::map<PassKey, uint32_t>& ordinals_;
  uint64_t activity_ = 0;
  uint64_t last_ = 0;
  Work work_;
  bool working_ = false;
  std::vector<uint32_t> open_;
};

// By time, with the sections' references to each other kept.
void sort_sections(std::vector<Section>* sections) {
  std::vector<uint32_t> order(sections->size()), place(sections->size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return (*sections)[a].acquired < (*sections)[b].acquired;
  });
  for (uint32_t i = 0; i < order.size(); ++i) place[order[i]] = i;
  std::vector<Section> sorted;
  sorted.reserve(order.size());
  for (const uint32_t from : order) {
    sorted.push_back(std::move((*sections)[from]));
    for (uint32_t& held : sorted.back().held) held = place[held];
  }
  *sections = std::move(sorted);
}

}  // namespace

bool is_between(std::string_view library) {
  for (const std::string_view each : {"libc.so", "libm.so", "libstdc++.so", "libgcc_s.so",
                                      "libpthread.so", "libauxin.so", "libomnithread.so",
                                      "ld-linux", "[vdso]", "linux-vdso"}) {
    if (library.starts_with(each)) return true;
  }
  return false;
}

uint32_t frame_of(const Trace& trace, uint32_t path) {
  const auto frames = trace.path(path);
  for (const uint32_t frame : frames) {
    const TraceFrame& each = trace.frames[frame];
    if (!is_between(each.object) && !is_wrapper(each.function)) return frame;
  }
  return frames.empty() ? kNoFrame : frames.back();
}

std::string function_of(const Trace& trace, uint32_t path) {
  const uint32_t frame = frame_of(trace, path);
  if (frame == kNoFrame) return {};
  const TraceFrame& found = trace.frames[frame];
  return found.function.empty() ? found.text() : short_name(found.function);
}

Behaviour find_behaviour(const Trace& trace, const IsMiddleware& is_middleware) {
  Behaviour found;
  found.objects = find_objects(trace);
  std::map<PassKey, uint32_t> ordinals;
  for (uint32_t thread = 0; thread < trace.threads.size(); ++thread) {
    ThreadReader(trace, is_middleware, thread, &found, &ordinals).read();
  }
  sort_sections(&found.sections);
  std::stable_sort(found.works.begin(), found.works.end(),
                   [](const Work& a, const Work& b) { return a.begin < b.begin; });
  return found;
}

}  // namespace auxin::analysis
