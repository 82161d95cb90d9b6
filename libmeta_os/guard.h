// SPDX-License-Identifier: Apache-2.0
//
// The guard against recursion: while a thread is inside Auxin's own code, its calls of hooked
// functions go straight to libc. Holding it is an object, so functions that need it take one.
#pragma once

namespace auxin::os {

extern thread_local constinit int meta_depth;  // > 0: the thread is at the meta level

class MetaLevel {
 public:
  MetaLevel() { ++meta_depth; }
  ~MetaLevel() { --meta_depth; }
  MetaLevel(const MetaLevel&) = delete;
  MetaLevel& operator=(const MetaLevel&) = delete;
};

// The calling thread's waits on conditions go to the synchronisation facet, whatever their mutex.
extern thread_local constinit bool waits_reified;

inline bool at_meta_level() { return meta_depth > 0; }

}  // namespace auxin::os
