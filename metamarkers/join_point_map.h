// SPDX-License-Identifier: Apache-2.0
//
// Join-point maps: which function of which library means what. Data, one TOML file per ORB and
// version (maps/omniorb-4.2.toml; maps/FORMAT.md), chosen by what the process has loaded.
//
//   schema = 1
//   name = "omniorb-4.2"
//   [[match]]                       # all of these must be loaded
//   soname = "libomniORB4.so.2"
//   [modules]
//   infrastructure = ["libomniORB4.so*", "libomniDynamic4.so*"]   # their own locks do not matter
//   conduit = ["libomnithread.so*", "libstdc++.so*", "libc.so*"]  # look through: who called them?
//   own_sockets = ["libzmq.so*"]    # their connections are the leader's own, not replicated
//   interpreter = ["python3*"]      # run application code under a lock of their own
//   [[join_point]]
//   name = "upcall"
//   # demangled or mangled, * allowed
//   function = "omniCallHandle::upcall(omniServant*, omniCallDescriptor&)"
//   library = "libomniORB4.so*"     # where it is defined
//   role = "upcall"
//   [offsets]                     # numbers the binding needs (a test checks them against headers)
//   …
//
// Loading allocates and may throw nothing: errors come back as sentences. Done once, before the
// server's main or when an ORB is loaded; afterwards the map is immutable and shared.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "metamarkers/framing.h"
#include "metamarkers/marker_stack.h"

namespace auxin::markers {

struct JoinPoint {
  std::string name;
  std::string function;   // pattern, as in the file
  std::string library;    // pattern of the file name
  Role role = Role::kNone;
  bool follower_skips = false;      // role kSuppressed: a follower returns at once …
  uint64_t skip_result = 0;         // … with this
  bool optional = false;            // nothing is missing where no module refers to it
  int64_t argument_offset = 0;      // added to the first argument to make the marker's argument
};

struct Offset {
  std::string name;
  int64_t value;
};

struct JoinPointMap {
  std::string name;                          // "omniorb-4.2"
  std::string path;
  std::vector<std::string> match_sonames;
  std::vector<std::string> infrastructure;   // file-name patterns
  std::vector<std::string> conduit;
  std::vector<std::string> own_sockets;
  std::vector<std::string> interpreter;
  std::vector<JoinPoint> join_points;
  std::vector<Offset> offsets;
  std::optional<Framing> framing;            // of the middleware's protocol; absent: GIOP

  // Dotted names as in the file ("giop_s.request_id"). Null: not in the map.
  const int64_t* offset(const char* offset_name) const;
};

// Empty error: loaded. Otherwise a sentence with file and line.
struct LoadedMap {
  JoinPointMap map;
  std::string error;
};
LoadedMap load_map(const std::string& path);

// Those maps of the directory whose match_sonames are all among the loaded modules; several may
// layer (TANGO's over omniORB's): the more general one (fewer match_sonames) comes first. A quick
// look at the file avoids parsing maps that do not match. Modules may be paths or file names.
// A map that matches but can't be loaded is left out and named in `error`.
struct ChosenMaps {
  std::vector<JoinPointMap> maps;
  std::string error;
};
ChosenMaps choose_maps(const std::string& directory,
                       const std::vector<std::string>& loaded_modules);

// The name that a map uses for a role ("contention-point"), and back. Unknown: null, kNone.
const char* role_name(Role role);
Role role_of(const char* name);

// Shell pattern match with * and ? only; used for modules and functions. Allocates nothing.
bool matches(const char* pattern, const char* text);

}  // namespace auxin::markers
