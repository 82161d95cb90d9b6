// SPDX-License-Identifier: Apache-2.0
//
// Join points without touching the source: runtime interception of functions named in a map.
//
// The linker's relocations (procedure linkage, global data, vtables) of every loaded module that
// refer to the function's symbol are pointed at a stub of ours. The stub puts a marker, calls the
// style's enter action, calls the function, calls the leave action, takes the marker off. Stubs are
// static code with unwind information: exceptions pass through them. Functions with more than six
// integer or eight floating arguments (stack arguments) can't be intercepted so.
//
// The same mechanism takes hooks out: rebind() points a module's references to a hook back at libc.
//
// Thread safety: install and rebind serialise themselves; stubs run on any thread.
#pragma once

#include <cstdint>
#include <string>

#include "metamarkers/join_point_map.h"

namespace auxin::markers {

inline constexpr int kMaxJoinPoints = 128;

// The registers a join point was entered with.
struct Arguments {
  uint64_t integer[6];  // rdi rsi rdx rcx r8 r9
};

// What happens at a join point beside the marker. Called on the passing thread, at the base level's
// stack; must not allocate or throw. Null: nothing.
struct Actions {
  // Returns true to run the function; false to skip it and return `*result` to the caller.
  bool (*enter)(const JoinPoint& join_point, const Arguments& arguments, uint64_t* result);
  void (*leave)(const JoinPoint& join_point, uint64_t result);
};
void set_actions(const Actions& actions);

struct Installed {
  int join_points = 0;     // found and intercepted at least once
  int references = 0;      // relocations pointed at stubs
  std::string missing;     // names of join points for which no symbol or no reference was found
};
// Intercepts everything the map names, in all modules loaded now. Call again after a dlopen: only
// what is new is done. `map` must live for ever.
Installed install(const JoinPointMap& map);

// Points all references to `symbol` in all loaded modules except libauxin itself at `target`.
// Returns how many were changed.
int rebind(const char* symbol, void* target);

}  // namespace auxin::markers
