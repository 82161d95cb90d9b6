// SPDX-License-Identifier: Apache-2.0
#include "analysis/proposal/boundary.h"

#include <optional>
#include <span>
#include <string_view>

namespace auxin::analysis {
namespace {

using Path = std::span<const uint32_t>;

class Search {
 public:
  Search(const Trace& trace, const TraceObjects& objects, const Linkage& linkage,
         const Layers& layers, const Brackets& brackets)
      : trace_(trace), objects_(objects), linkage_(linkage), layers_(layers),
        brackets_(brackets) {}

  Boundary run() {
    for (uint32_t thread = 0; thread < trace_.threads.size(); ++thread) {
      const std::vector<Event>& events = trace_.threads[thread].events;
      for (size_t i = 0; i < events.size(); ++i)
        if (trace_.is_call(events[i])) look_at(thread, i, events[i]);
    }
    Boundary boundary;
    for (auto& [symbol, function] : functions_) boundary.functions.push_back(std::move(function));
    boundary.look_up_mutexes = std::move(look_up_mutexes_);
    boundary.threads_of_mutex = std::move(threads_of_mutex_);
    return boundary;
  }

 private:
  const std::string& symbol(uint32_t frame) const { return trace_.frames[frame].symbol; }
  Layer layer(uint32_t frame) const { return layers_.of(trace_.frames[frame].module); }

  bool passes(Path path, const std::string& function) const {
    if (function.empty()) return false;
    for (const uint32_t frame : path)
      if (symbol(frame) == function) return true;
    return false;
  }

  void look_at(uint32_t thread, size_t index, const Event& event) {
    const Path path = trace_.path(event.path);
    const std::string_view call = trace_.call_of(event).name;
    const uint32_t object = objects_.of_event[thread][index];
    const bool locks = call == "pthread_mutex_lock" && object != kNoObject;
    const bool in_upcall = passes(path, brackets_.upcall);
    if (locks) {
      threads_of_mutex_[object].insert(thread);
      if (passes(path, brackets_.request) && !in_upcall) look_up_mutexes_.insert(object);
    }
    // From the thread's beginning inwards: each time the application calls the middleware, that
    // call is entered; the last one is who the event belongs to.
    BoundaryFunction* entered = nullptr;
    std::optional<uint32_t> last_middleware;
    for (size_t at = path.size(); at-- > 0;) {
      const uint32_t frame = path[at];
      const Layer here = layer(frame);
      if (here == Layer::kInfrastructure) {
        const bool from_application =
            at + 1 < path.size() && layer(path[at + 1]) == Layer::kApplication;
        if (from_application) entered = enter(path, at);
        if (linkage_.interceptable(symbol(frame))) last_middleware = frame;
      } else if (here == Layer::kApplication && at + 1 < path.size() &&
                 layer(path[at + 1]) == Layer::kInfrastructure && entered != nullptr &&
                 last_middleware && symbol(*last_middleware) != entered->symbol) {
        entered->calls_back.insert(symbol(*last_middleware));
      }
    }
    if (entered == nullptr || layer_of_caller(path) == Layer::kApplication) return;
    ++entered->events;
    entered->threads.insert(thread);
    entered->in_requests |= in_upcall;
    if (locks) entered->mutexes.insert(object);
    if (call.find("cond") != call.npos && call.find("wait") != call.npos) entered->waits = true;
    if (call.starts_with("send") && object != kNoObject && opened_here(object)) {
      entered->sends = true;
    }
  }

  // Who made the call, looking through conduits.
  Layer layer_of_caller(Path path) const {
    for (const uint32_t frame : path)
      if (layer(frame) != Layer::kConduit) return layer(frame);
    return Layer::kConduit;
  }

  bool opened_here(uint32_t object) const {
    const TraceObject& connection = objects_.objects[object];
    return connection.made_path != 0 && trace_.calls[connection.made_by].name == "socket";
  }

  // The function at `at`, or, where it can be no join point, the next one inwards that can.
  BoundaryFunction* enter(Path path, size_t at) {
    for (size_t inner = at + 1; inner-- > 0;) {
      const uint32_t frame = path[inner];
      if (layer(frame) == Layer::kApplication) return nullptr;
      const std::string& name = symbol(frame);
      if (layer(frame) != Layer::kInfrastructure || !linkage_.interceptable(name)) continue;
      if (brackets_.contain(name)) return nullptr;
      BoundaryFunction& function = functions_[name];
      function.symbol = name;
      return &function;
    }
    return nullptr;
  }

  const Trace& trace_;
  const TraceObjects& objects_;
  const Linkage& linkage_;
  const Layers& layers_;
  const Brackets& brackets_;
  std::map<std::string, BoundaryFunction> functions_;
  std::set<uint32_t> look_up_mutexes_;
  std::map<uint32_t, std::set<uint32_t>> threads_of_mutex_;
};

}  // namespace

Boundary find_boundary(const Trace& trace, const TraceObjects& objects, const Linkage& linkage,
                       const Layers& layers, const Brackets& brackets) {
  return Search(trace, objects, linkage, layers, brackets).run();
}

}  // namespace auxin::analysis
