// SPDX-License-Identifier: Apache-2.0
//
// Meta-markers: the tokens that a join point puts on the thread that passes it. Lower levels
// (a lock hook, a send hook) read them to learn what the thread is doing and for whom.
//
// Each thread has a stack of markers of fixed depth. A join point takes its marker off on every way
// out that unwinds: return, exception, pthread_exit, cancellation. Only longjmp jumps over it; so
// each marker remembers the stack pointer at which it was put, and one whose frame is gone is
// dropped when the stack is next looked at from a shallower frame or pushed to.
//
// Thread safety: a thread's stack is its own. No allocation; usable in hooks and, as far as they
// look without pushing, in signal handlers (also on an alternate signal stack).
// Source: paper 004, slides 22 to 27 (meta-markers; P1, P2).
#pragma once

#include <cstdint>

namespace auxin::markers {

// What a join point means to the levels below (JoinPoint::role in the map).
enum class Role : uint16_t {
  kNone = 0,
  kDispatcher,        // the ORB works for one message; argument: its request object
  kRequest,           // the message is a request, its id is known
  kUpcall,            // application code runs on behalf of the request
  kInfrastructure,    // the ORB's own business: threads, locks made here aren't the application's
  kContentionPoint,   // its order shows in replies (object activation …): ordered as a whole
  kSuppressed,        // not to be executed in a follower (idle-connection scavenging)
  kValueSource,       // values read here reach clients (unique-id generation)
  kOutputBegins,      // an output buffer was made ready: unset bytes are to be defined
  kMutexFactory,      // mutexes created under it are contention points (papers' way)
  kPlain,             // an annotation of the user's
  kContentionEnds,    // inside a kContentionPoint: what follows may be application code, and the
                      // ordered section ends here at the latest
  kConnectionChoice,  // a connection for a call out is taken from the ORB's pool, or given back
  kWorkerTask,        // the ORB queues a task for its workers; what is made here is its own
  kMemoryStream,      // a stream into memory of its own begins: its third argument is made true
};
inline constexpr uint16_t kRoleCount = 15;

struct Marker {
  Role role;
  uint16_t join_point;      // see join_point_name() in interception.h; for reports
  uint32_t padding;
  uint64_t argument;        // role-specific (the object the join point was called on)
  uintptr_t frame;          // stack pointer at which it was put
};

inline constexpr int kMaxMarkers = 64;  // deeper ones are counted, not kept

class MarkerStack {
 public:
  // Markers of deeper frames than `frame` are dropped first: they can't be alive.
  void push(Role role, uint16_t join_point, uint64_t argument, uintptr_t frame) {
    if (depth_ > 0 && markers_[depth_ - 1].frame < frame) [[unlikely]] unwind_to(frame - 1);
    if (depth_ == kMaxMarkers) [[unlikely]] {
      ++overflow_;
      return;
    }
    // Written before it is counted: a signal handler that looks sees a whole marker or none.
    markers_[depth_] = Marker{role, join_point, 0, argument, frame};
    __atomic_signal_fence(__ATOMIC_RELEASE);
    ++depth_;
  }
  // The innermost marker put at this frame, and anything above it. No such marker: nothing.
  void pop(uintptr_t frame) {
    if (overflow_ == 0 && depth_ > 0 && markers_[depth_ - 1].frame == frame) [[likely]] {
      --depth_;
    } else {
      pop_from_below(frame);
    }
  }
  // Drops the markers put at this frame and at deeper ones: for a caller who knows that whatever
  // was there is gone, because it is just about to put its own marker at a call from there.
  void unwind_to(uintptr_t frame) {
    if (depth_ > 0 && markers_[depth_ - 1].frame <= frame) [[unlikely]] drop_to(frame);
  }
  // Drops markers of frames that are gone, then returns the innermost with the role, or null.
  const Marker* innermost(Role role);
  const Marker* top();
  // The marker at `index`, counted from the outermost; 0 <= index < depth().
  const Marker& at(int index) const { return markers_[index]; }
  int depth() const { return depth_; }        // kept ones
  int overflow() const { return overflow_; }  // counted ones, above the kept

 private:
  void pop_from_below(uintptr_t frame);
  void drop_to(uintptr_t frame);
  void drop_stale();
  int depth_ = 0;
  int overflow_ = 0;
  Marker markers_[kMaxMarkers] = {};
};

extern thread_local constinit MarkerStack stack_of_this_thread;

// The calling thread's stack.
inline MarkerStack& this_thread() { return stack_of_this_thread; }

}  // namespace auxin::markers
