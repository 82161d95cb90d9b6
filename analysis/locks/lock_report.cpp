// SPDX-License-Identifier: Apache-2.0
#include "analysis/locks/lock_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "analysis/locks/synchronisation_calls.h"

namespace auxin::analysis {
namespace {

using recording::kKindMask;

Distribution distribution(std::vector<double> values) {
  Distribution result;
  if (values.empty()) return result;
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
  };
  result.median = at(0.5);
  result.low = at(0.05);
  result.high = at(0.95);
  result.least = values.front();
  result.most = values.back();
  for (const double value : values) result.mean += value;
  result.mean /= static_cast<double>(values.size());
  return result;
}

// The numbers of many requests, collected one by one.
class Samples {
 public:
  void add(const CallCounts& counts, double duration_us) {
    calls_.push_back(static_cast<double>(counts.calls));
    acquisitions_.push_back(static_cast<double>(counts.acquisitions));
    intercepted_.push_back(static_cast<double>(counts.intercepted));
    ordered_.push_back(static_cast<double>(counts.ordered));
    durations_us_.push_back(duration_us);
  }
  PerRequest result() const {
    return {distribution(calls_), distribution(acquisitions_), distribution(intercepted_),
            distribution(ordered_), distribution(durations_us_)};
  }

 private:
  std::vector<double> calls_, acquisitions_, intercepted_, ordered_, durations_us_;
};

enum class Where { kRequest, kWarmUp, kOutside };

CallCounts& counts_of(LockTableRow& row, Where where) {
  switch (where) {
    case Where::kRequest: return row.in_requests;
    case Where::kWarmUp: return row.warm_up;
    case Where::kOutside: break;
  }
  return row.outside;
}

// Rows by key; each counts in how many requests it occurs.
class Table {
 public:
  void add(const std::string& name, const std::string& of, Where where, size_t request,
           const CallCounts& counts) {
    Entry& entry = rows_[{name, of}];
    counts_of(entry.row, where) += counts;
    if (where == Where::kRequest && entry.last_request != request) {
      entry.last_request = request;
      ++entry.row.requests;
    }
  }
  std::vector<LockTableRow> rows() && {
    std::vector<LockTableRow> result;
    for (auto& [key, entry] : rows_) {
      entry.row.name = key.first;
      entry.row.of = key.second;
      result.push_back(std::move(entry.row));
    }
    std::stable_sort(result.begin(), result.end(), [](const auto& left, const auto& right) {
      const auto weight = [](const LockTableRow& row) {
        return row.in_requests.calls + row.outside.calls + row.warm_up.calls;
      };
      return weight(left) > weight(right);
    });
    return result;
  }

 private:
  struct Entry {
    LockTableRow row;
    size_t last_request = ~size_t{0};
  };
  std::map<std::pair<std::string, std::string>, Entry> rows_;
};

class Reporter {
 public:
  Reporter(const Trace& trace, uint32_t warm_up)
      : trace_(trace), requests_(find_requests(trace, warm_up)) {
    for (const TraceCall& call : trace.calls) {
      kinds_.push_back(synchronisation_of(call.name));
    }
  }

  LockReport make() {
    size_t next = 0;
    for (uint32_t thread = 0; thread < trace_.threads.size(); ++thread) read(thread, &next);
    report_.requests = steady_;
    report_.warm_up_requests = requests_.size() - steady_;
    report_.duration_s = static_cast<double>(trace_.duration_ns) / 1e9;
    report_.per_request = samples_.result();
    report_.by_operation = operations();
    report_.by_call = std::move(by_call_).rows();
    report_.by_library = std::move(by_library_).rows();
    report_.by_join_point = std::move(by_join_point_).rows();
    report_.by_path = std::move(by_path_).rows();
    report_.tree = tree_.result(trace_);
    report_.timeline = timeline();
    remark();
    return std::move(report_);
  }

 private:
  // The tree while it is built: children by frame, counts by where.
  class Tree {
   public:
    void add(std::span<const uint32_t> path, const CallCounts& counts) {
      Node* node = &root_;
      for (auto frame = path.rbegin(); frame != path.rend(); ++frame) {
        node = &node->children[*frame];
      }
      node->own += counts;
    }
    CallTreeNode result(const Trace& trace) const { return convert(root_, nullptr, trace); }

   private:
    struct Node {
      CallCounts own;
      std::map<uint32_t, Node> children;
    };
    // Frames of one function (several call sites in it) become one node.
    static CallTreeNode convert(const Node& node, const TraceFrame* frame, const Trace& trace) {
      CallTreeNode result;
      result.function = frame == nullptr ? "all" : frame->text();
      result.library = frame == nullptr ? "" : frame->object;
      result.own = result.sum = node.own;
      std::map<std::string, CallTreeNode> children;
      for (const auto& [index, child] : node.children) {
        CallTreeNode converted = convert(child, &trace.frames[index], trace);
        result.sum += converted.sum;
        auto [there, is_new] = children.try_emplace(converted.function + '\0' + converted.library);
        if (is_new) {
          there->second = std::move(converted);
        } else {
          merge(there->second, std::move(converted));
        }
      }
      for (auto& [name, child] : children) result.children.push_back(std::move(child));
      sort(result);
      return result;
    }
    static void merge(CallTreeNode& into, CallTreeNode from) {
      into.own += from.own;
      into.sum += from.sum;
      for (CallTreeNode& child : from.children) {
        const auto same = std::find_if(
            into.children.begin(), into.children.end(), [&](const CallTreeNode& other) {
              return other.function == child.function && other.library == child.library;
            });
        if (same == into.children.end()) {
          into.children.push_back(std::move(child));
        } else {
          merge(*same, std::move(child));
        }
      }
      sort(into);
    }
    static void sort(CallTreeNode& node) {
      std::stable_sort(node.children.begin(), node.children.end(),
                       [](const CallTreeNode& left, const CallTreeNode& right) {
                         return left.sum.calls > right.sum.calls;
                       });
    }
    Node root_;
  };

  bool counts_here(const Event& event) const {
    const uint16_t row = event.kind & kKindMask;
    return row < kinds_.size() && kinds_[row] != Synchronisation::kNone;
  }

  CallCounts counts_of_event(const Event& event) const {
    return {1, kinds_[event.kind & kKindMask] == Synchronisation::kAcquires ? 1u : 0u,
            (event.kind & recording::kIntercepted) != 0 ? 1u : 0u,
            (event.kind & recording::kOrdered) != 0 ? 1u : 0u};
  }

  void read(uint32_t thread, size_t* next) {
    const auto& events = trace_.threads[thread].events;
    for (size_t i = 0; i < events.size(); ++i) {
      while (*next < requests_.size() && requests_[*next].thread == thread &&
             requests_[*next].last < i) {
        ++*next;
      }
      const bool inside = *next < requests_.size() && requests_[*next].thread == thread &&
                          requests_[*next].first <= i;
      if (inside && requests_[*next].first == i) begin(*next);
      if (counts_here(events[i])) {
        const Where where = !inside                     ? Where::kOutside
                            : requests_[*next].warm_up ? Where::kWarmUp
                                                       : Where::kRequest;
        add(events[i], where, *next);
      }
      if (inside && requests_[*next].last == i) end(*next);
    }
    while (*next < requests_.size() && requests_[*next].thread == thread) ++*next;
  }

  void begin(size_t) { current_ = CallCounts{}; }

  void end(size_t index) {
    const Request& request = requests_[index];
    if (request.warm_up) return;
    ++steady_;
    const auto& events = trace_.threads[request.thread].events;
    const double duration_us =
        static_cast<double>(events[request.last].begin - events[request.first].begin) *
        trace_.ns_per_tick / 1000;
    samples_.add(current_, duration_us);
    operations_[request.operation].add(current_, duration_us);
    calls_of_request_.emplace_back(current_.calls, index);
  }

  void add(const Event& event, Where where, size_t request) {
    const CallCounts counts = counts_of_event(event);
    if (where != Where::kOutside) current_ += counts;
    switch (where) {
      case Where::kRequest: report_.in_requests += counts; break;
      case Where::kWarmUp: report_.warm_up += counts; break;
      case Where::kOutside: report_.outside += counts; break;
    }
    const std::string& call = trace_.call_of(event).name;
    const auto path = trace_.path(event.path);
    const std::string& library =
        path.empty() ? kUnknown : trace_.frames[path.front()].object;
    const bool marked = event.join_point < trace_.join_points.size();
    by_call_.add(call, "", where, request, counts);
    by_library_.add(library, "", where, request, counts);
    by_join_point_.add(marked ? trace_.join_points[event.join_point].name : "", library, where,
                       request, counts);
    by_path_.add(path_text(event.path), call, where, request, counts);
    if (where == Where::kWarmUp) warm_up_of_[requests_[request].operation] += counts;
    if (where == Where::kRequest) steady_of_[requests_[request].operation] += counts;
    tree_.add(path, counts);
  }

  // "inner < outer < …": told once per path.
  const std::string& path_text(uint32_t number) {
    auto [there, is_new] = path_texts_.try_emplace(number);
    if (!is_new) return there->second;
    for (const uint32_t frame : trace_.path(number)) {
      if (!there->second.empty()) there->second += '\n';
      there->second += fmt::format("{} [{}]", trace_.frames[frame].text(),
                                   trace_.frames[frame].object);
    }
    return there->second;
  }

  std::vector<LockTableRow> operations() {
    std::vector<LockTableRow> rows;
    std::map<std::string, uint64_t> seen;
    for (const Request& request : requests_) {
      if (!request.warm_up) ++seen[request.operation];
    }
    for (const auto& [name, samples] : operations_) {
      LockTableRow row;
      row.name = name;
      row.requests = seen[name];
      row.in_requests = steady_of_[name];
      row.warm_up = warm_up_of_[name];
      row.per_request = samples.result();
      rows.push_back(std::move(row));
    }
    std::stable_sort(rows.begin(), rows.end(), [](const auto& left, const auto& right) {
      return left.requests > right.requests;
    });
    return rows;
  }

  // The request whose number of calls and whose duration are nearest to the medians.
  Timeline timeline() const {
    Timeline result;
    const Request* chosen = nullptr;
    double best = 0;
    for (const auto& [calls, index] : calls_of_request_) {
      const Request& request = requests_[index];
      if (!request.reached_application) continue;
      const auto& events = trace_.threads[request.thread].events;
      const double us = static_cast<double>(events[request.last].begin -
                                            events[request.first].begin) *
                        trace_.ns_per_tick / 1000;
      const double off =
          std::abs(static_cast<double>(calls) - report_.per_request.calls.median) * 10 +
          std::abs(us - report_.per_request.duration_us.median) /
              std::max(1.0, report_.per_request.duration_us.median);
      if (chosen != nullptr && off >= best) continue;
      chosen = &request;
      best = off;
    }
    if (chosen == nullptr) return result;
    const TraceThread& thread = trace_.threads[chosen->thread];
    const auto& events = thread.events;
    result.operation = chosen->operation;
    result.thread = fmt::format("{} ({})", thread.name, thread.tid);
    const auto us = [&](uint64_t ticks) {
      return static_cast<double>(ticks) * trace_.ns_per_tick / 1000;
    };
    result.duration_us = us(events[chosen->last].begin - events[chosen->first].begin);
    const CallerLayers layers(trace_);
    int depth = 0;
    for (size_t i = chosen->first; i <= chosen->last; ++i) {
      const Event& event = events[i];
      const uint16_t kind = event.kind & kKindMask;
      const bool mark = kind == recording::kEntered || kind == recording::kLeft;
      if (!mark && !trace_.is_call(event)) continue;
      TimelineStep step;
      step.at_us = us(event.begin - events[chosen->first].begin);
      if (event.join_point < trace_.join_points.size()) {
        step.join_point = trace_.join_points[event.join_point].name;
      }
      if (kind == recording::kLeft) --depth;
      step.depth = std::max(depth, 0);
      if (mark) {
        step.what = (kind == recording::kEntered ? "enter " : "leave ") + step.join_point;
        if (kind == recording::kEntered) {
          ++depth;
          if (event.join_point < trace_.join_points.size() &&
              trace_.join_points[event.join_point].role == "upcall") {
            step.layer = CallerLayer::kApplication;
          }
        }
      } else {
        step.what = trace_.call_of(event).name;
        step.duration_us = us(event.duration);
        step.result = event.result;
        step.verdict = (event.kind & recording::kOrdered) != 0 ? TimelineStep::Verdict::kOrdered
                       : (event.kind & recording::kIntercepted) != 0
                           ? TimelineStep::Verdict::kIntercepted
                           : TimelineStep::Verdict::kPassed;
        step.layer = layers.of_path(event.path);
        step.synchronises = counts_here(event);
        const auto path = trace_.path(event.path);
        if (!path.empty()) {
          step.library = trace_.frames[path.front()].object;
          step.caller = trace_.frames[path.front()].text();
        }
      }
      result.steps.push_back(std::move(step));
    }
    return result;
  }

  void remark() {
    report_.remarks = trace_.remarks;
    if (trace_.lost_events > 0) {
      report_.remarks.push_back(fmt::format(
          "{} events found no room while they were recorded: the counts are too low by so many",
          trace_.lost_events));
    }
    if (trace_.lost_paths > 0) {
      report_.remarks.push_back(fmt::format("{} calls are counted without their path: there were "
                                            "more than {} paths",
                                            trace_.lost_paths, recording::kMaxPaths));
    }
    if (requests_.empty()) {
      report_.remarks.push_back(
          "no request was seen: the server got none, or no join-point map names where it works "
          "for one");
    }
  }

  static inline const std::string kUnknown = "(unknown)";
  const Trace& trace_;
  std::vector<Request> requests_;
  std::vector<Synchronisation> kinds_;  // by row
  LockReport report_;
  CallCounts current_;
  uint64_t steady_ = 0;
  Samples samples_;
  std::map<std::string, Samples> operations_;
  std::map<std::string, CallCounts> warm_up_of_, steady_of_;
  std::vector<std::pair<uint64_t, size_t>> calls_of_request_;
  Table by_call_, by_library_, by_join_point_, by_path_;
  std::map<uint32_t, std::string> path_texts_;
  Tree tree_;
};

}  // namespace

void CallCounts::operator+=(const CallCounts& other) {
  calls += other.calls;
  acquisitions += other.acquisitions;
  intercepted += other.intercepted;
  ordered += other.ordered;
}

LockReport make_lock_report(const Trace& trace, const std::string& title, uint32_t warm_up) {
  LockReport report = Reporter(trace, warm_up).make();
  report.title = title;
  return report;
}

}  // namespace auxin::analysis
