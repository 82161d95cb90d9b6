// SPDX-License-Identifier: Apache-2.0
//
// The recorder: writes what each thread of this process calls into a region (region.h).
//
// It is an os::Observer of the hooks and the watch of the join points. A thread writes into a chunk
// of its own, without atomics but for the count of its events; with detail kCount it counts sites.
// What it learns of the calling thread's work besides (its activity, the operation of its request)
// it asks of whoever starts it.
//
// Thread safety: begin_recording() and end_recording() on one thread at a time; the rest is the
// threads' own. Costs nothing while no recording is on.
#pragma once

#include <cstdint>

#include "recording/region.h"

namespace auxin::recording {

// What the levels above know of the calling thread.
struct Context {
  uint64_t (*activity)();                 // 0: none
  const char* (*operation)(uint64_t request_object);  // of a dispatcher's argument; "": not known
};

struct Plan {
  const char* directory;   // gets a file PID-TIME.region, of this user only
  Detail detail;
  uint32_t chunk_count;    // of 32 KiB: what the collector may be behind
  bool snapshots = false;  // with them (snapshots.h), in a file PID-TIME.snapshots
};

// Makes a region and records into it from now on. False: `error` has the sentence. Allocates; not
// in a hook.
bool begin_recording(const Plan& plan, const Context& context, char* error, unsigned error_size);
// The modules loaded by now; to be called after a dlopen too.
void record_modules();
// What is unsupported and was noted by now. May be called in a hook.
void record_unsupported_uses();
// No event is written any more once it returns, but by threads that are in the middle of one.
void end_recording();
// The collector wants it to end, or ended itself: to be looked at now and then.
bool recording_is_to_end();
bool is_recording();
// In the child after fork: the region is the parent's.
void forget_recording_in_child();

}  // namespace auxin::recording
