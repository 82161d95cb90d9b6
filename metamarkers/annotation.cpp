// SPDX-License-Identifier: Apache-2.0
//
// The functions behind include/auxin/metamarker.h. They are exported by libauxin.
#include "metamarkers/annotation.h"

#include <atomic>
#include <cerrno>
#include <string>

#include "auxin/metamarker.h"
#include "metamarkers/intercepted.h"
#include "metamarkers/marker_off.h"

namespace auxin::markers {

static_assert(AUXIN_ROLE_DISPATCHER == static_cast<int>(Role::kDispatcher));
static_assert(AUXIN_ROLE_REQUEST == static_cast<int>(Role::kRequest));
static_assert(AUXIN_ROLE_UPCALL == static_cast<int>(Role::kUpcall));
static_assert(AUXIN_ROLE_INFRASTRUCTURE == static_cast<int>(Role::kInfrastructure));
static_assert(AUXIN_ROLE_CONTENTION_POINT == static_cast<int>(Role::kContentionPoint));
static_assert(AUXIN_ROLE_SUPPRESSED == static_cast<int>(Role::kSuppressed));
static_assert(AUXIN_ROLE_VALUE_SOURCE == static_cast<int>(Role::kValueSource));
static_assert(AUXIN_ROLE_OUTPUT_BEGINS == static_cast<int>(Role::kOutputBegins));
static_assert(AUXIN_ROLE_MUTEX_FACTORY == static_cast<int>(Role::kMutexFactory));
static_assert(AUXIN_ROLE_PLAIN == static_cast<int>(Role::kPlain));
static_assert(AUXIN_ROLE_CONTENTION_ENDS == static_cast<int>(Role::kContentionEnds));
static_assert(AUXIN_ROLE_CONNECTION_CHOICE == static_cast<int>(Role::kConnectionChoice));

namespace {

// Open addressing over the names, then one entry per role for what found no room.
constexpr int kTableSize = kMaxAnnotations + kRoleCount;
constinit std::atomic<const JoinPoint*> annotations[kTableSize] = {};

bool taken_by(std::atomic<const JoinPoint*>& place, const char* name, Role role) {
  const JoinPoint* there = place.load(std::memory_order_acquire);
  if (there == nullptr) {
    JoinPoint* fresh = new JoinPoint;
    fresh->name = name;
    fresh->role = role;
    fresh->follower_skips = role == Role::kSuppressed;
    if (place.compare_exchange_strong(there, fresh, std::memory_order_acq_rel)) return true;
    delete fresh;
  }
  return there->role == role && there->name == name;
}

int annotation_index(const char* name, Role role) {
  uint32_t hash = 2166136261u;
  for (const char* at = name; *at != '\0'; ++at) {
    hash = (hash ^ static_cast<unsigned char>(*at)) * 16777619u;
  }
  for (int probe = 0; probe < kMaxAnnotations; ++probe) {
    const int index = static_cast<int>((hash + static_cast<uint32_t>(probe)) % kMaxAnnotations);
    if (taken_by(annotations[index], name, role)) return index;
  }
  const int shared = kMaxAnnotations + static_cast<int>(role);
  taken_by(annotations[shared], "(annotation)", role);
  return shared;
}

struct RequestStack {
  int depth;
  AnnotatedRequest requests[kMaxNestedRequests];
};
thread_local constinit RequestStack requests_of_this_thread{};

constinit std::atomic<const RequestAnnotations*> request_annotations{nullptr};

}  // namespace

const char* annotation_name(uint16_t index) {
  if (index < kFirstAnnotation || index >= kFirstAnnotation + kTableSize) return "";
  const JoinPoint* join_point =
      annotations[index - kFirstAnnotation].load(std::memory_order_acquire);
  return join_point != nullptr ? join_point->name.c_str() : "";
}

const AnnotatedRequest* annotated_request() {
  const RequestStack& stack = requests_of_this_thread;
  if (stack.depth == 0) return nullptr;
  return &stack.requests[(stack.depth < kMaxNestedRequests ? stack.depth : kMaxNestedRequests) - 1];
}

void set_request_annotations(const RequestAnnotations& new_annotations) {
  request_annotations.store(new RequestAnnotations(new_annotations), std::memory_order_release);
}

}  // namespace auxin::markers

using auxin::markers::Role;

extern "C" {

// Returns a token (1 + index), or 0: skip. A role that this version doesn't know is a plain mark.
[[gnu::visibility("default")]] int auxin_marker_enter(const char* name, int role, uint64_t argument,
                                                      const void* frame) {
  using namespace auxin::markers;
  const int saved_errno = errno;
  const bool known = role > 0 && role < kRoleCount;
  const Role meaning = known ? static_cast<Role>(role) : Role::kPlain;
  const int index = annotation_index(name != nullptr ? name : "", meaning);
  const auto at = reinterpret_cast<uintptr_t>(frame);
  this_thread().push(meaning, static_cast<uint16_t>(kFirstAnnotation + index), argument, at);
  bool run = true;
  const Actions* actions = actions_in_force();
  if (actions != nullptr && actions->enter != nullptr) {
    MarkerOff marker_off(at);
    Arguments arguments{{argument, 0, 0, 0, 0, 0}};
    uint64_t unused_result = 0;
    run = actions->enter(*annotations[index].load(std::memory_order_acquire), arguments,
                         &unused_result);
    if (run) marker_off.disarm();
  }
  if (const Watch* watch = watch_in_force(); run && watch != nullptr) {
    watch->entered(*annotations[index].load(std::memory_order_acquire),
                   static_cast<uint16_t>(kFirstAnnotation + index),
                   Arguments{{argument, 0, 0, 0, 0, 0}});
  }
  errno = saved_errno;
  return run ? index + 1 : 0;
}

[[gnu::visibility("default")]] void auxin_marker_leave(int token, const void* frame) {
  using namespace auxin::markers;
  if (token <= 0 || token > kTableSize) return;
  MarkerOff marker_off(reinterpret_cast<uintptr_t>(frame));
  const JoinPoint* join_point = annotations[token - 1].load(std::memory_order_acquire);
  const Actions* actions = actions_in_force();
  if (join_point == nullptr) return;
  const int saved_errno = errno;
  if (actions != nullptr && actions->leave != nullptr) actions->leave(*join_point, 0);
  if (const Watch* watch = watch_in_force(); watch != nullptr) {
    watch->left(*join_point, static_cast<uint16_t>(kFirstAnnotation + token - 1));
  }
  errno = saved_errno;
}

[[gnu::visibility("default")]] void auxin_marker_request_begin(int fd, uint32_t request_id) {
  using namespace auxin::markers;
  RequestStack& stack = requests_of_this_thread;
  if (stack.depth < kMaxNestedRequests) stack.requests[stack.depth] = {fd, request_id};
  ++stack.depth;
  const RequestAnnotations* now = request_annotations.load(std::memory_order_acquire);
  if (now != nullptr && now->begin != nullptr) now->begin(fd, request_id);
}

[[gnu::visibility("default")]] void auxin_marker_request_end(void) {
  using namespace auxin::markers;
  RequestStack& stack = requests_of_this_thread;
  if (stack.depth == 0) return;
  const AnnotatedRequest ended = *annotated_request();
  --stack.depth;
  const RequestAnnotations* now = request_annotations.load(std::memory_order_acquire);
  if (now != nullptr && now->end != nullptr) now->end(ended.fd, ended.request_id);
}

}  // extern "C"
