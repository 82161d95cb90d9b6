// SPDX-License-Identifier: Apache-2.0
//
// The room as a library that is preloaded into a program, as it is in libauxin.so: intercepts a few
// functions of the sample target in whatever loads it, and offers what the program asks about.
#include <cstring>

#include "metamarkers/interception.h"
#include "metamarkers/stack_inspection.h"

using namespace auxin::markers;

namespace {

constinit int entered = 0, left = 0;
constinit void* seen[kMaxInspectedFrames];
constinit size_t seen_count = 0;

bool enter(const JoinPoint& join_point, Arguments&, uint64_t*) {
  ++entered;
  if (join_point.name == "plain") seen_count = callers(seen, kMaxInspectedFrames);
  return true;
}
void leave(const JoinPoint&, uint64_t) { ++left; }

[[gnu::constructor]] void start() {
  auto* map = new JoinPointMap;
  for (const char* function : {"sample::throws(int)", "sample::throws_deep(int)",
                               "sample::Shape::plain(int)", "sample::Shape::area(int) const"}) {
    JoinPoint join_point;
    join_point.name = strstr(function, "plain") != nullptr ? "plain" : function;
    join_point.function = function;
    join_point.library = "libauxin_sample_target.so";
    join_point.role = Role::kPlain;
    map->join_points.push_back(join_point);
  }
  prepare_stack_inspection();
  set_actions({enter, leave});
  install(*map);
}

}  // namespace

extern "C" {
[[gnu::visibility("default")]] void preload_counts(int* entered_out, int* left_out, int* depth) {
  *entered_out = entered;
  *left_out = left;
  *depth = this_thread().depth();
}
// The callers of the last plain(), without the preload's own frames.
[[gnu::visibility("default")]] size_t preload_callers(void*** addresses) {
  *addresses = seen;
  return seen_count;
}
[[gnu::visibility("default")]] const char* preload_method() { return stack_inspection_method(); }
}
