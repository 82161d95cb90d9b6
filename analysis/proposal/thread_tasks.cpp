// SPDX-License-Identifier: Apache-2.0
#include "analysis/proposal/thread_tasks.h"

#include <map>
#include <optional>
#include <span>

namespace auxin::analysis {
namespace {

using Path = std::span<const uint32_t>;

// The first function of the middleware from `from` outwards that can be a join point, before the
// application is reached.
std::optional<size_t> next_function(const Trace& trace, const Linkage& linkage,
                                    const Layers& layers, Path path, size_t from) {
  for (size_t at = from; at < path.size(); ++at) {
    const TraceFrame& frame = trace.frames[path[at]];
    const Layer layer = layers.of(frame.module);
    if (layer == Layer::kApplication) return std::nullopt;
    if (layer == Layer::kInfrastructure && linkage.interceptable(frame.symbol)) return at;
  }
  return std::nullopt;
}

}  // namespace

std::vector<ThreadMaker> find_thread_makers(const Trace& trace, const Linkage& linkage,
                                            const Layers& layers) {
  std::map<std::string, ThreadMaker> makers;
  std::map<std::string, std::map<std::string, uint64_t>> callers;  // of each maker
  std::map<std::string, uint64_t> wake_ups;                        // directly inside a function
  for (const TraceThread& thread : trace.threads) {
    for (const Event& event : thread.events) {
      if (!trace.is_call(event)) continue;
      const std::string& call = trace.call_of(event).name;
      const bool creates = call == "pthread_create";
      if (!creates && call != "pthread_cond_signal") continue;
      const Path path = trace.path(event.path);
      const auto at = next_function(trace, linkage, layers, path, 0);
      if (!at) continue;
      const std::string& symbol = trace.frames[path[*at]].symbol;
      if (!creates) {
        ++wake_ups[symbol];
        continue;
      }
      ThreadMaker& maker = makers[symbol];
      maker.symbol = symbol;
      ++maker.threads;
      const auto outer = next_function(trace, linkage, layers, path, *at + 1);
      if (outer) ++callers[symbol][trace.frames[path[*outer]].symbol];
    }
  }
  std::vector<ThreadMaker> result;
  for (auto& [symbol, maker] : makers) {
    uint64_t most = 0;
    for (const auto& [caller, threads] : callers[symbol]) {
      const auto woken = wake_ups.find(caller);
      if (woken == wake_ups.end() || threads <= most) continue;
      most = threads;
      maker.queue = caller;
      maker.wake_ups = woken->second;
    }
    result.push_back(std::move(maker));
  }
  return result;
}

}  // namespace auxin::analysis
