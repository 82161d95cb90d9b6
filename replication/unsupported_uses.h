// SPDX-License-Identifier: Apache-2.0
//
// Finding what the server uses that is not supported, and telling it where it outlives the process:
// in the counter block, the group's control area and the region of a recording.
//
// Accused is the application alone: modules that a map names as infrastructure or conduit, and what
// stands between every program and the system, are taken care of or known.
//
// Thread safety: looking at modules allocates and is for the threads that load them (load,
// modules_changed); the rest may be called in a hook, by any thread.
#pragma once

#include "libmeta_os/facets.h"
#include "libmeta_os/unsupported_use.h"
#include "metamarkers/interception.h"

namespace auxin::replication {

// Reads from the environment which paths are the replica's own. At load.
void prepare_unsupported_uses();

// Scans the application's modules that are loaded by now and were not scanned, and the signal
// handlers that are installed. The maps are known.
void look_for_unsupported_uses();

// A join point of the map that has no effect, or not all of it. The map is named as the module.
void note_map_problem(const markers::JoinPointMap& map, const markers::NotIntercepted& problem);

// What a hook saw. `site`: who did it; for a signal handler: the handler itself. Ignored before the
// first look: until then this is no server.
void note_unsupported_use(os::Unsupported use, const char* symbol, os::CallSite site);

// What was found until now goes to the group that the process has just become a replica of.
void publish_unsupported_uses();

}  // namespace auxin::replication
