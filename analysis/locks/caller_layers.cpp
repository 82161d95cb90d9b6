// SPDX-License-Identifier: Apache-2.0
#include "analysis/locks/caller_layers.h"

#include <array>
#include <string_view>

namespace auxin::analysis {
namespace {

constexpr std::array<std::string_view, 7> kRunTimeLibraries = {
    "libc.so", "libstdc++.so", "libgcc_s.so", "libpthread.so", "libm.so", "libunwind", "ld-linux"};

bool is_run_time(std::string_view library) {
  for (const std::string_view name : kRunTimeLibraries) {
    if (library.starts_with(name)) return true;
  }
  return false;
}

bool is_program(std::string_view library) {
  return library.find(".so") == std::string_view::npos;
}

}  // namespace

CallerLayers::CallerLayers(const Trace& trace) : trace_(trace) {
  for (const TraceThread& thread : trace.threads) {
    for (const Event& event : thread.events) {
      if (!trace.is_call(event) || event.join_point >= trace.join_points.size()) continue;
      const std::string& role = trace.join_points[event.join_point].role;
      const bool dispatches = role == "dispatcher";
      if (!dispatches && role != "infrastructure" && role != "worker-task") continue;
      for (const uint32_t frame : trace.path(event.path)) {
        const std::string& library = trace.frames[frame].object;
        if (is_run_time(library)) continue;
        if (!is_program(library)) (dispatches ? middleware_ : shared_).insert(library);
        break;
      }
    }
  }
}

bool CallerLayers::sees_through(const std::string& library) const {
  return is_run_time(library) || (shared_.contains(library) && !middleware_.contains(library));
}

CallerLayer CallerLayers::of_path(uint32_t path) const {
  for (const uint32_t frame : trace_.path(path)) {
    const std::string& library = trace_.frames[frame].object;
    if (library.empty() || sees_through(library)) continue;
    return middleware_.contains(library) ? CallerLayer::kMiddleware : CallerLayer::kApplication;
  }
  return CallerLayer::kMiddleware;
}

}  // namespace auxin::analysis
