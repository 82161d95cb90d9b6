// SPDX-License-Identifier: Apache-2.0
//
// Join points without touching the source: runtime interception of functions named in a map.
//
// The linker's relocations (procedure linkage, global data, vtables) of every loaded module that
// refer to the function's symbol are pointed at a stub of ours. The stub puts a marker, calls the
// style's enter action, calls the function, calls the leave action, takes the marker off. Stubs are
// static code with unwind information: exceptions, pthread_exit and cancellation pass through them,
// and run the leave half on their way.
//
// What can't be intercepted so: calls that don't go through a relocation (within one module that
// was linked with -Bsymbolic, static or inlined functions), functions with stack arguments (more
// than six integer or eight floating ones) or 32-byte vector arguments, and functions that return
// twice.
//
// The same mechanism takes hooks out: rebind() points a module's references to a hook back at libc.
//
// Thread safety: install and rebind serialise themselves; stubs run on any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "metamarkers/join_point_map.h"

namespace auxin::markers {

inline constexpr int kMaxJoinPoints = 128;  // functions; one map entry may match several
// A pattern that matches more names more than was meant: nothing is intercepted for it.
inline constexpr int kMaxFunctionsPerJoinPoint = 32;

// The registers a join point was entered with.
struct Arguments {
  uint64_t integer[6];  // rdi rsi rdx rcx r8 r9
};

// What happens at a join point beside the marker. Called on the passing thread, at the base level's
// stack; must not allocate or throw, but may be left by cancellation. errno is kept. Null: nothing.
struct Actions {
  // Returns true to run the function; false to skip it and return `*result` to the caller (a
  // function that returns in rax; `*result` is preset with the map's skip_result). The marker is
  // already there; what is changed in `arguments` the function gets. Where it returns false or is
  // left by cancellation, `leave` is not called.
  bool (*enter)(const JoinPoint& join_point, Arguments& arguments, uint64_t* result);
  // Called once for every enter that returned true; the marker is still there. `result` is rax, or
  // 0 where the function was left by an exception or the end of the thread.
  void (*leave)(const JoinPoint& join_point, uint64_t result);
  // The roles (1 << role) at which they are called; elsewhere only the marker is put.
  uint32_t enter_at = ~0u;
  uint32_t leave_at = ~0u;
};
constexpr uint32_t role_bit(Role role) { return 1u << static_cast<unsigned>(role); }
void set_actions(const Actions& actions);

// Who wants to know which join points each thread passes, whatever their role: a recording. Called
// beside the actions, with the marker there; the same rules hold. `index` as Marker::join_point.
struct Watch {
  void (*entered)(const JoinPoint& join_point, uint16_t index, const Arguments& arguments);
  void (*left)(const JoinPoint& join_point, uint16_t index);
};
// Null: nobody. Otherwise it must live for ever.
void set_watch(const Watch* watch);

// A join point that has no effect, or not all of it.
struct NotIntercepted {
  const JoinPoint* join_point;
  std::string why;
  bool too_wide = false;   // its pattern matches too many functions
};

struct Installed {
  int join_points = 0;     // of the map: intercepted at least once, now
  int references = 0;      // relocations that point at their stubs, now
  std::vector<NotIntercepted> missing;

  std::string missing_text() const;  // "name (why), name (why)"
};
// Intercepts everything the map names, in all modules loaded now. Call again after a dlopen: only
// what is new is done. `map` must live for ever. Not in a hook: allocates.
Installed install(const JoinPointMap& map);

// Points the references to `symbol` in all loaded modules except libauxin itself at `target`.
// References that somebody else's interposer has taken stay with it.
struct Rebinding {
  const char* symbol;
  void* target;
  int changed = 0;  // references, by rebind()
};
// All of them in one walk through the modules; a symbol once only.
void rebind(std::span<Rebinding> rebindings);
int rebind(const char* symbol, void* target);  // how many were changed

// The name of a Marker::join_point: of a join point of an installed map or of an annotation. Never
// null ("" where unknown). May be called in a hook.
const char* join_point_name(uint16_t index);

}  // namespace auxin::markers
