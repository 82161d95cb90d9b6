// SPDX-License-Identifier: Apache-2.0
#include "analysis/locks/requests.h"

#include <string_view>

namespace auxin::analysis {
namespace {

using recording::kKindMask;

std::string_view role_of(const Trace& trace, const Event& event) {
  if (event.join_point >= trace.join_points.size()) return {};
  return trace.join_points[event.join_point].role;
}

bool is_lifecycle(std::string_view role) {
  return role == "dispatcher" || role == "request" || role == "upcall";
}

// Reads one thread's events. Marks nest; those that an unwinding or the beginning of the recording
// left without a partner are found by their order: a dispatcher does not nest.
class ThreadReader {
 public:
  ThreadReader(const Trace& trace, uint32_t thread, uint32_t warm_up, std::vector<Request>* found)
      : trace_(trace), thread_(thread), warm_up_(warm_up), found_(found) {}

  void read() {
    const auto& events = trace_.threads[thread_].events;
    for (size_t i = 0; i < events.size(); ++i) {
      const uint16_t kind = events[i].kind & kKindMask;
      if (kind == recording::kEntered) entered(i, role_of(trace_, events[i]));
      if (kind == recording::kLeft) left(i, role_of(trace_, events[i]));
      if (kind == recording::kOperation && depth_ > 0 && request_.operation.empty()) {
        request_.operation = trace_.text_at(events[i].object);
      }
    }
  }

 private:
  void entered(size_t at, std::string_view role) {
    if (!is_lifecycle(role)) return;
    if (role == "dispatcher") depth_ = 0;
    if (depth_++ == 0) {
      request_ = Request{};
      request_.thread = thread_;
      request_.first = at;
      is_request_ = false;
    }
    if (role != "dispatcher") is_request_ = true;
    if (role == "upcall") request_.reached_application = true;
  }

  void left(size_t at, std::string_view role) {
    if (!is_lifecycle(role) || depth_ == 0 || --depth_ != 0 || !is_request_) return;
    request_.last = at;
    if (request_.operation.empty()) {
      request_.operation = request_.reached_application ? "(unknown)" : "(locate)";
    }
    request_.warm_up = seen_++ < warm_up_;
    found_->push_back(std::move(request_));
    request_ = Request{};
  }

  const Trace& trace_;
  const uint32_t thread_;
  const uint32_t warm_up_;
  std::vector<Request>* const found_;
  Request request_;
  int depth_ = 0;
  bool is_request_ = false;
  uint32_t seen_ = 0;
};

}  // namespace

std::vector<Request> find_requests(const Trace& trace, uint32_t warm_up) {
  std::vector<Request> found;
  for (uint32_t thread = 0; thread < trace.threads.size(); ++thread) {
    ThreadReader(trace, thread, warm_up, &found).read();
  }
  return found;
}

}  // namespace auxin::analysis
