// SPDX-License-Identifier: Apache-2.0
#include "analysis/proposal/request_shape.h"


#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>

#include "analysis/trace/symbols.h"

namespace auxin::analysis {
namespace {

using Path = std::span<const uint32_t>;

// An answer follows what it answers; further back there was another message.
constexpr size_t kMostEventsBetween = 20000;

bool receives(std::string_view name) {
  return name == "recv" || name == "recvfrom" || name == "recvmsg" || name == "read" ||
         name == "readv" || name == "__recv_chk" || name == "__recvfrom_chk" ||
         name == "__read_chk";
}

bool sends(std::string_view name) {
  return name == "send" || name == "sendto" || name == "sendmsg" || name == "write" ||
         name == "writev";
}

const std::string& symbol_of(const Trace& trace, uint32_t frame) {
  return trace.frames[frame].symbol;
}

// Votes for functions by symbol.
class Poll {
 public:
  void vote(const std::string& symbol) { ++votes_[symbol]; }
  void abstain() { ++abstentions_; }

  std::optional<FunctionFinding> winner(const Linkage& linkage) const {
    FunctionFinding best;
    uint64_t all = abstentions_;
    for (const auto& [symbol, votes] : votes_) {
      all += votes;
      if (votes <= best.votes) continue;
      best.symbol = symbol;
      best.votes = votes;
    }
    if (best.votes == 0) return std::nullopt;
    best.of = all;
    best.function = demangled(best.symbol);
    const LinkedModule* owner = linkage.owner(best.symbol);
    best.library = owner != nullptr ? owner->name() : "";
    return best;
  }

 private:
  std::map<std::string, uint64_t> votes_;
  uint64_t abstentions_ = 0;
};

// A function of a library that can be a join point.
bool eligible(const Trace& trace, const Linkage& linkage, uint32_t frame) {
  const std::string& symbol = symbol_of(trace, frame);
  if (!linkage.interceptable(symbol)) return false;
  const LinkedModule* owner = linkage.owner(symbol);
  return !owner->soname.empty();
}

// The middleware is called again further in.
bool leads_back(const Trace& trace, const Layers& layers, Path path, size_t from) {
  for (size_t at = from; at-- > 0;)
    if (layers.of(trace.frames[path[at]].module) == Layer::kInfrastructure) return true;
  return false;
}

}  // namespace

std::optional<size_t> position_of(const Trace& trace, Path path, const std::string& symbol) {
  for (size_t i = path.size(); i-- > 0;)
    if (symbol_of(trace, path[i]) == symbol) return i;
  return std::nullopt;
}

namespace {

bool accepted(const Trace& trace, const TraceObject& object) {
  return object.kind == ObjectKind::kConnection && object.made_path != 0 &&
         trace.calls[object.made_by].name.starts_with("accept");
}

std::string most_frequent(const std::map<std::string, uint64_t>& counts) {
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? "" : most->first;
}

}  // namespace

std::optional<HandOver> find_hand_over(const Trace& trace, const TraceObjects& objects) {
  std::map<std::string, uint64_t> received, answered;
  HandOver found;
  for (uint32_t thread = 0; thread < trace.threads.size(); ++thread) {
    const std::vector<Event>& events = trace.threads[thread].events;
    for (size_t i = 0; i < events.size(); ++i) {
      if (!trace.is_call(events[i]) || events[i].result <= 0) continue;
      const std::string_view name = trace.call_of(events[i]).name;
      const uint32_t connection = objects.of_event[thread][i];
      if (connection == kNoObject || !accepted(trace, objects.objects[connection])) continue;
      const Path path = trace.path(events[i].path);
      if (path.empty()) continue;
      if (receives(name)) ++received[trace.frames[path[0]].function];
      if (!sends(name)) continue;
      ++answered[trace.frames[path[0]].function];
      ++found.answers;
    }
  }
  if (found.answers == 0 || received.empty()) return std::nullopt;
  found.received_in = most_frequent(received);
  found.answered_in = most_frequent(answered);
  return found;
}

std::vector<Exchange> find_exchanges(const Trace& trace, const TraceObjects& objects) {
  std::vector<Exchange> exchanges;
  for (uint32_t thread = 0; thread < trace.threads.size(); ++thread) {
    const std::vector<Event>& events = trace.threads[thread].events;
    std::unordered_map<uint32_t, size_t> received;  // by connection
    for (size_t i = 0; i < events.size(); ++i) {
      if (!trace.is_call(events[i]) || events[i].result <= 0) continue;
      const std::string_view name = trace.call_of(events[i]).name;
      const uint32_t connection = objects.of_event[thread][i];
      if (connection == kNoObject || (!receives(name) && !sends(name))) continue;
      if (!accepted(trace, objects.objects[connection])) continue;
      if (receives(name)) {
        received[connection] = i;
      } else if (const auto found = received.find(connection);
                 found != received.end() && i - found->second < kMostEventsBetween) {
        exchanges.push_back({thread, found->second, i});
      }
    }
  }
  return exchanges;
}

std::optional<FunctionFinding> find_dispatcher(const Trace& trace, const Linkage& linkage,
                                               const std::vector<Exchange>& exchanges) {
  Poll poll;
  for (const Exchange& exchange : exchanges) {
    const std::vector<Event>& events = trace.threads[exchange.thread].events;
    const Path receive = trace.path(events[exchange.receive].path);
    const Path send = trace.path(events[exchange.send].path);
    // From the thread's beginning inwards as long as both are inside the same calls. The last
    // function that they share is at two places of its code.
    size_t shared = 0;
    while (shared < receive.size() && shared < send.size() &&
           symbol_of(trace, receive[receive.size() - 1 - shared]) ==
               symbol_of(trace, send[send.size() - 1 - shared]) &&
           trace.frames[receive[receive.size() - 1 - shared]].module ==
               trace.frames[send[send.size() - 1 - shared]].module) {
      ++shared;
      if (receive[receive.size() - shared] != send[send.size() - shared]) break;
    }
    bool voted = false;
    for (size_t depth = shared; depth > 0 && !voted; --depth) {
      const uint32_t frame = receive[receive.size() - depth];
      if (!eligible(trace, linkage, frame)) continue;
      poll.vote(symbol_of(trace, frame));
      voted = true;
    }
    if (!voted) poll.abstain();
  }
  return poll.winner(linkage);
}

RequestShape find_shape(const Trace& trace, const Linkage& linkage, const Layers& layers,
                        const std::vector<Exchange>& exchanges, const std::string& dispatcher) {
  Poll upcalls, requests, locates;
  for (const Exchange& exchange : exchanges) {
    const std::vector<Event>& events = trace.threads[exchange.thread].events;
    bool in_application = false;
    for (size_t i = exchange.receive + 1; i <= exchange.send; ++i) {
      if (!trace.is_call(events[i])) continue;
      const Path path = trace.path(events[i].path);
      const auto bottom = position_of(trace, path, dispatcher);
      if (!bottom || *bottom == 0) continue;
      // Inwards: the last place at which the middleware calls the application. Where that function
      // can be no join point (generated code between the two), the next one outwards.
      std::optional<size_t> caller;
      for (size_t at = *bottom; at-- > 0;) {
        if (layers.of(trace.frames[path[at]].module) == Layer::kApplication &&
            layers.of(trace.frames[path[at + 1]].module) == Layer::kInfrastructure) {
          caller = at + 1;
        }
      }
      // An application's function that only leads back into the middleware may be no servant's.
      if (!caller || leads_back(trace, layers, path, *caller)) continue;
      while (*caller < *bottom && !eligible(trace, linkage, path[*caller])) ++*caller;
      if (*caller >= *bottom) continue;
      in_application = true;
      upcalls.vote(symbol_of(trace, path[*caller]));
      if (eligible(trace, linkage, path[*bottom - 1])) {
        requests.vote(symbol_of(trace, path[*bottom - 1]));
      }
    }
    const Path send = trace.path(events[exchange.send].path);
    const auto bottom = position_of(trace, send, dispatcher);
    const bool passes_application =
        bottom && std::any_of(send.begin(), send.begin() + static_cast<long>(*bottom),
                              [&](uint32_t frame) {
                                return layers.of(trace.frames[frame].module) ==
                                       Layer::kApplication;
                              });
    if (bottom && *bottom > 0 && !in_application && !passes_application &&
        eligible(trace, linkage, send[*bottom - 1])) {
      locates.vote(symbol_of(trace, send[*bottom - 1]));
    }
  }
  RequestShape shape;
  shape.upcall = upcalls.winner(linkage);
  shape.request = requests.winner(linkage);
  shape.locate = locates.winner(linkage);
  if (shape.locate && shape.request && shape.locate->symbol == shape.request->symbol) {
    shape.locate.reset();
  }
  return shape;
}

}  // namespace auxin::analysis
