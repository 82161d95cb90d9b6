// SPDX-License-Identifier: Apache-2.0
//
// Which calls matter: the semi-active style's answer, from the join-point maps and the stack
// (DESIGN 4.1). A call belongs to the innermost module on its stack that is no conduit (libstdc++,
// libomnithread …: they call for somebody else). Infrastructure modules' locks do not matter, the
// application's do. The answer depends on the call site and the markers alone.
//
// Thread safety: any thread; hook-safe (no allocation).
#pragma once

#include "libmeta_os/facets.h"
#include "metamarkers/join_point_map.h"

namespace auxin::replication {

enum class ModuleKind : unsigned char {
  kApplication, kInfrastructure, kConduit, kOwnSockets, kInterpreter
};

class MapClassification final : public os::Classification {
 public:
  // The maps must live for ever; more may be added when more libraries are loaded.
  void add_map(const markers::JoinPointMap* map);

  Verdict synchronisation_object(os::CallSite site) override;
  bool value(os::CallSite site) override;
  bool clock(clockid_t clock, os::CallSite site) override;

  // From now on every lock is a contention point, whoever takes it: what a system has to order that
  // sees nothing but calls to the operating system.
  void order_every_lock() { every_lock_ = true; }

  ModuleKind kind_of(const char* module_name) const;

 private:
  static constexpr int kMaxMaps = 8;
  const markers::JoinPointMap* maps_[kMaxMaps] = {};
  int map_count_ = 0;
  bool every_lock_ = false;
};

MapClassification& map_classification();

// The kind of the module for which the call was made, looking through conduits; `library` (may be
// null) gets its name, valid for ever.
ModuleKind caller_kind(os::CallSite site, const char** library);

// A thread created here is the application's (not the ORB's own).
bool starts_application_thread(os::CallSite site);
// A socket handled here belongs to a protocol with a lifecycle binding: replicate it.
bool replicates_sockets(os::CallSite site);

}  // namespace auxin::replication
