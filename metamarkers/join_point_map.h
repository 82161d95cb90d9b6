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
//   infrastructure = ["libomniORB4.so*", "libomniDynamic4.so*", …]   # their own locks do not matter
//   conduit = ["libomnithread.so*", "libstdc++.so*", "libc.so*"]      # look through: who called them?
//   own_sockets = ["libzmq.so*"]    # their connections are the leader's own, not replicated
//   [[join_point]]
//   name = "upcall"
//   function = "omniCallHandle::upcall(omniServant*, omniCallDescriptor&)"   # demangled or mangled, * allowed
//   library = "libomniORB4.so*"     # where it is defined
//   role = "upcall"
//   [offsets]                        # numbers the binding needs (checked by a test against the headers)
//   …
//
// Loading allocates and may throw nothing: errors come back as sentences. Done once, before the
// server's main or when an ORB is loaded; afterwards the map is immutable and shared.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "metamarkers/marker_stack.h"

namespace auxin::markers {

struct JoinPoint {
  std::string name;
  std::string function;   // pattern, as in the file
  std::string library;    // pattern of the file name
  Role role = Role::kNone;
  bool follower_skips = false;      // role kSuppressed: a follower returns at once
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
  std::vector<JoinPoint> join_points;
  std::vector<Offset> offsets;

  const int64_t* offset(const char* name) const;  // null: not in the map
};

// Empty error: loaded. Otherwise a sentence with file and line.
struct LoadedMap {
  JoinPointMap map;
  std::string error;
};
LoadedMap load_map(const std::string& path);

// Those maps of the directory whose match_sonames are all among the loaded modules; several may
// layer (TANGO's over omniORB's). A quick look at the file avoids parsing maps that do not match.
struct ChosenMaps {
  std::vector<JoinPointMap> maps;
  std::string error;
};
ChosenMaps choose_maps(const std::string& directory, const std::vector<std::string>& loaded_modules);

// Shell pattern match with * and ? only; used for modules and functions.
bool matches(const char* pattern, const char* text);

}  // namespace auxin::markers
