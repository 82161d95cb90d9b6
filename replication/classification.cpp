// SPDX-License-Identifier: Apache-2.0
#include "replication/classification.h"

#include <atomic>

#include "libmeta_os/counters.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/modules.h"
#include "libmeta_os/never_destroyed.h"
#include "metamarkers/interception.h"
#include "metamarkers/marker_stack.h"
#include "metamarkers/stack_inspection.h"
#include "replication/rehearsal/leave_out.h"

namespace auxin::replication {
namespace {

constexpr size_t kMaxFrames = 32;

// Kinds by module, remembered: modules are few and stay.
struct KnownModule {
  std::atomic<const os::Module*> module;
  ModuleKind kind;
};
constexpr int kMaxKnown = 256;
constinit KnownModule known[kMaxKnown];

// Direct-mapped memory of answers by return address.
struct KnownSite {
  std::atomic<const void*> address;
  std::atomic<const char*> library;
  std::atomic<ModuleKind> kind;
};

bool any_match(const std::vector<std::string>& patterns, const char* name) {
  for (const std::string& pattern : patterns)
    if (markers::matches(pattern.c_str(), name)) return true;
  return false;
}

ModuleKind kind_of_module(const os::Module* module) {
  if (module == nullptr) return ModuleKind::kConduit;
  for (KnownModule& entry : known) {
    const os::Module* there = entry.module.load(std::memory_order_acquire);
    if (there == module) return entry.kind;
    if (there == nullptr) {
      entry.kind = map_classification().kind_of(module->name);
      entry.module.store(module, std::memory_order_release);
      return entry.kind;
    }
  }
  return map_classification().kind_of(module->name);
}

// What the middleware does here is no part of the application's state, whoever does it.
bool own_business(const markers::Marker* top) {
  return top != nullptr && top->role == markers::Role::kInfrastructure;
}

}  // namespace

MapClassification& map_classification() {
  static os::NeverDestroyed<MapClassification> instance;
  return *instance;
}

void MapClassification::add_map(const markers::JoinPointMap* map) {
  if (map_count_ < kMaxMaps) maps_[map_count_++] = map;
}

ModuleKind MapClassification::kind_of(const char* name) const {
  for (int i = 0; i < map_count_; ++i) {
    if (any_match(maps_[i]->own_sockets, name)) return ModuleKind::kOwnSockets;
    if (any_match(maps_[i]->interpreter, name)) return ModuleKind::kInterpreter;
    if (any_match(maps_[i]->infrastructure, name)) return ModuleKind::kInfrastructure;
    if (any_match(maps_[i]->conduit, name)) return ModuleKind::kConduit;
  }
  // What is between every program and the system, with any map or none. libunwind is ours, and
  // takes a lock when a thread ends that we looked at.
  for (const char* conduit : {"libc.so*", "libstdc++.so*", "libgcc_s.so*", "libpthread.so*",
                              "ld-linux*", "libauxin.so*", "libunwind*", "linux-vdso*", "libm.so*",
                              "libjemalloc*", "libtcmalloc*", "libmimalloc*"})
    if (markers::matches(conduit, name)) return ModuleKind::kConduit;
  return ModuleKind::kApplication;
}

ModuleKind caller_kind(os::CallSite site, const char** library) {
  const os::MetaLevel meta;  // the unwinder has locks of its own
  const os::Module* module = os::module_of(site.address);
  ModuleKind kind = kind_of_module(module);
  if (kind == ModuleKind::kConduit) {
    void* frames[kMaxFrames];
    const size_t count = markers::callers(frames, kMaxFrames);
    bool past_site = false;
    for (size_t i = 0; i < count; ++i) {
      if (!past_site) {
        past_site = frames[i] == site.address;
        continue;
      }
      const os::Module* caller = os::module_of(frames[i]);
      const ModuleKind caller_is = kind_of_module(caller);
      if (caller_is == ModuleKind::kConduit) continue;
      module = caller;
      kind = caller_is;
      break;
    }
    if (kind == ModuleKind::kConduit) kind = ModuleKind::kApplication;  // a thread's first frames
  }
  if (library != nullptr) *library = module != nullptr ? module->name : "";
  return kind;
}

os::Classification::Verdict MapClassification::synchronisation_object(os::CallSite site) {
  os::MetaLevel meta;
  // By the module of the call alone. A conduit's own locks (of libomnithread, of libstdc++) are
  // taken on behalf of everybody: looking through it would make the verdict depend on who came
  // first. What the application locks through inline code of a conduit's headers is its own call.
  const os::Module* module = os::module_of(site.address);
  const ModuleKind kind = kind_of_module(module);
  const markers::Marker* marker = markers::this_thread().top();
  const char* join_point = marker != nullptr ? markers::join_point_name(marker->join_point) : "";
  const bool own = own_business(marker) && !every_lock_;
  const bool selected = (kind == ModuleKind::kApplication || every_lock_) && map_count_ > 0 &&
                        !own && !is_left_out(module, site.address);
  return Verdict{selected,
                 os::site_class(module != nullptr ? module->name : "", join_point), !own};
}

bool MapClassification::value(os::CallSite site) {
  if (own_business(markers::this_thread().top())) return false;
  if (markers::this_thread().innermost(markers::Role::kValueSource) != nullptr) return true;
  const os::Module* module = os::module_of(site.address);
  const ModuleKind direct = kind_of_module(module);
  // An ORB that itself reads the time does so where it makes keys that clients see; its time limits
  // are read through its thread library.
  if (direct == ModuleKind::kInfrastructure) return true;
  if (direct == ModuleKind::kApplication || direct == ModuleKind::kInterpreter) return true;
  if (direct == ModuleKind::kOwnSockets) return false;
  return caller_kind(site, nullptr) == ModuleKind::kApplication;
}

bool MapClassification::clock(clockid_t clock, os::CallSite site) {
  // By the monotonic clock an interpreter times how long it waits for its own lock.
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE &&
      kind_of_module(os::module_of(site.address)) == ModuleKind::kInterpreter)
    return false;
  return value(site);
}

bool starts_application_thread(os::CallSite site) {
  markers::MarkerStack& stack = markers::this_thread();
  if (stack.innermost(markers::Role::kInfrastructure) != nullptr ||
      stack.innermost(markers::Role::kWorkerTask) != nullptr)
    return false;
  return caller_kind(site, nullptr) == ModuleKind::kApplication;
}

bool replicates_sockets(os::CallSite site) {
  return caller_kind(site, nullptr) == ModuleKind::kInfrastructure;
}

}  // namespace auxin::replication
