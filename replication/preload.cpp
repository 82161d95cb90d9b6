// SPDX-License-Identifier: Apache-2.0
//
// The preload's entry: what libauxin.so does when it is loaded.
//
// Without a group it observes: join points and locks are counted, nothing is changed. In a group
// the process becomes the replica as soon as an ORB is loaded that a join-point map names: at load
// for a server that is linked to it, at a dlopen for others. Until then (a wrapper shell, env,
// setsid) it does nothing and hands the environment on.
//
// Runs before main on the only thread; modules_changed runs on the thread that called dlopen.
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "libmeta_os/counters.h"
#include "libmeta_os/descriptor_table.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/modules.h"
#include "libmeta_os/never_destroyed.h"
#include "libmeta_os/real_calls.h"
#include "libmeta_req/orb_binding.h"
#include "libmeta_req/request_tracker.h"
#include "metamarkers/interception.h"
#include "metamarkers/join_point_map.h"
#include "metamarkers/stack_inspection.h"
#include "recording/recorder.h"
#include "replication/activity.h"
#include "replication/agreed_values.h"
#include "replication/classification.h"
#include "replication/environment.h"
#include "replication/follower_scheduling.h"
#include "replication/footprint.h"
#include "replication/futex.h"
#include "replication/group_end.h"
#include "replication/keeper.h"
#include "replication/kill_points.h"
#include "replication/recording_control.h"
#include "replication/rehearsal/disturbance.h"
#include "replication/rehearsal/leave_out.h"
#include "replication/rehearsal/rehearsal.h"
#include "replication/replay.h"
#include "replication/replica.h"
#include "replication/report.h"
#include "replication/request_events.h"
#include "replication/request_flow.h"
#include "replication/steward.h"
#include "replication/unsupported_uses.h"

namespace auxin::replication {
namespace {

void say(const char* text) {
  raw_syscall(SYS_write, 2, reinterpret_cast<long>(text), static_cast<long>(strlen(text)));
}

[[noreturn]] void refuse(const char* sentence) {
  say("auxin: ");
  say(sentence);
  say("\n");
  raw_syscall(SYS_exit_group, 2);
  for (;;) raw_syscall(SYS_pause);
}

std::vector<std::string> module_names() {
  std::vector<std::string> names;
  os::for_each_module(
      [](const os::Module& module, void* to) {
        static_cast<std::vector<std::string>*>(to)->push_back(module.name);
      },
      &names);
  return names;
}

struct Membership {
  std::string memory_path;
  int id = -1;
};
Membership* membership = nullptr;  // what the environment asked for; null: no group

std::vector<markers::JoinPointMap>* installed_maps = nullptr;

// A bare preload counts: it wants to know for what a lock is taken, and changes no call.
bool only_for_groups(const markers::JoinPoint& join_point) {
  switch (join_point.role) {
    case markers::Role::kSuppressed:
    case markers::Role::kOutputBegins:
    case markers::Role::kContentionEnds:
    case markers::Role::kConnectionChoice:
    case markers::Role::kValueSource:
    case markers::Role::kMemoryStream:
      return true;
    default:
      return false;
  }
}

// Loads and installs the maps that match what is loaded; true if there is one.
bool install_maps(const char* directory) {
  std::vector<markers::JoinPointMap>*& installed = installed_maps;
  markers::ChosenMaps chosen = markers::choose_maps(directory, module_names());
  if (!chosen.error.empty()) {
    if (membership != nullptr) refuse(chosen.error.c_str());
    return false;  // a bare preload changes nothing: without maps it counts by library only
  }
  if (chosen.maps.empty()) return false;
  if (installed == nullptr) {
    installed = new std::vector<markers::JoinPointMap>(std::move(chosen.maps));
    if (membership == nullptr) {
      for (markers::JoinPointMap& map : *installed) std::erase_if(map.join_points, only_for_groups);
    }
    for (const markers::JoinPointMap& map : *installed) {
      map_classification().add_map(&map);
      req::bind_orb(map);
      if (map.framing) {
        req::set_framing(&*map.framing);
        replay.order_input();
      }
    }
  }
  for (const markers::JoinPointMap& map : *installed) {
    const markers::Installed result = markers::install(map);
    for (const markers::NotIntercepted& problem : result.missing) note_map_problem(map, problem);
  }
  return true;
}

// Named by the environment; else beside this library, as installed or as built; else where it was
// to be installed.
std::string map_directory() {
  if (const char* directory = getenv(kMapsVariable)) return directory;
  Dl_info own;
  if (dladdr(reinterpret_cast<void*>(&say), &own) != 0 && own.dli_fname != nullptr) {
    const std::string library = own.dli_fname;
    const std::string folder = library.substr(0, library.rfind('/'));
    for (const char* step : {"/../share/auxin/maps", "/../../share/auxin/maps"}) {
      const std::string candidate = folder + step;
      if (access(candidate.c_str(), R_OK | X_OK) == 0) return candidate;
    }
  }
  return AUXIN_MAP_DIRECTORY;
}

// What the children of a replica must not inherit.
void clear_environment() {
  unsetenv(kGroupVariable);
  unsetenv(kReplicaVariable);
  unsetenv(kOwnPathsVariable);
  unsetenv(kRehearsalVariable);
  unsetenv(kScheduleVariable);
  unsetenv(kLeaveOutVariable);
  const char* preload = getenv("LD_PRELOAD");
  if (preload == nullptr) return;
  std::string rest;
  for (const char* at = preload; *at != '\0';) {
    const size_t length = strcspn(at, ": ");
    if (length > 0 && memmem(at, length, "libauxin", 8) == nullptr)
      rest += (rest.empty() ? "" : ":") + std::string(at, length);
    at += length;
    at += strspn(at, ": ");
  }
  if (rest.empty()) {
    unsetenv("LD_PRELOAD");
  } else {
    setenv("LD_PRELOAD", rest.c_str(), 1);
  }
}

void name_maps(const std::vector<markers::JoinPointMap>& maps) {
  std::string names;
  for (const markers::JoinPointMap& map : maps) names += (names.empty() ? "" : ",") + map.name;
  char* to = replica->control().map_names;
  const size_t room = sizeof replica->control().map_names - 1;
  memcpy(to, names.c_str(), names.size() < room ? names.size() + 1 : room);
}

void become_replica() {
  if (const char* report = getenv(kRehearsalVariable); report != nullptr && *report != '\0') {
    if (!prepare_rehearsal(report))
      refuse("AUXIN_REHEARSAL names no report; leave it to `auxin verify`");
  }
  if (Replica::join(membership->memory_path.c_str(), membership->id, rehearsing()) == nullptr)
    raw_syscall(SYS_exit_group, 2);
  // Who called is asked by the facets of a group only: a bare preload needs no unwinder.
  markers::prepare_stack_inspection();
  if (installed_maps != nullptr) name_maps(*installed_maps);
  publish_unsupported_uses();
  prepare_kill_points();
  const Settings& settings = replica->settings();
  if (settings.style != Style::kNone) {
    if (settings.meta_object[0] != '\0') {
      char error[512];
      meta_object = load_meta_object(settings.meta_object, error, sizeof error);
      if (meta_object == nullptr) refuse(error);
    }
    if (rehearsing()) {
      start_rehearsal();
    } else {
      start_keeper();
      start_steward();
    }
    set_thread_activity(kMainActivity);
    if (settings.order_every_lock != 0) {
      map_classification().order_every_lock();
      let_nameless_threads_decide();
    }
    install_request_flow({true, settings.compare == Compare::kBytes});
    install_footprint(semi_active_footprint());
    begin_disturbance();
  } else {
    count_only();
    install_request_flow({false, false});
    install_footprint(supervised_footprint());
  }
  clear_environment();
}

class Process final : public os::ProcessFacet {
 public:
  void modules_changed() override {
    os::MetaLevel meta;
    const bool bound = install_maps(map_directory().c_str());
    if (bound) look_for_unsupported_uses();
    recording::record_modules();
    if (!bound || membership == nullptr || replica != nullptr) return;
    os::classification = &map_classification();
    become_replica();
    record_from_the_start();
  }
  void exiting(int status) override {
    os::MetaLevel meta;
    if (replicated()) end_group(status);
    write_report();
  }
  void unsupported(os::Unsupported use, const char* symbol, os::CallSite site) override {
    note_unsupported_use(use, symbol, site);
  }
  void forked_child() override {
    recording::forget_recording_in_child();
    leave_group_in_child();
    schedule_as_child();
  }
};

Process* process_facet() {
  static os::NeverDestroyed<Process> instance;
  return &*instance;
}

__attribute__((constructor)) void load() {
  os::MetaLevel meta;
  const char* group = getenv(kGroupVariable);
  const char* id = getenv(kReplicaVariable);
  if (group != nullptr && id != nullptr) membership = new Membership{group, atoi(id)};
  os::counters();
  os::refresh_modules();
  prepare_report();
  prepare_unsupported_uses();
  os::facets.process = process_facet();
  if (const char* sites = getenv(kLeaveOutVariable)) leave_out(sites);
  const bool bound = install_maps(map_directory().c_str());
  if (bound) look_for_unsupported_uses();
  // A verdict on a lock stays, and a hook that is taken out of a module stays out. So where an ORB
  // may come later, nothing is classified yet, and all hooks stay.
  if (membership == nullptr || bound) os::classification = &map_classification();
  if (membership == nullptr) {
    install_request_flow({false, false});
    install_footprint(counting_footprint());
    record_from_the_start();
  } else if (bound) {
    become_replica();
    record_from_the_start();
  } else {
    install_request_flow({false, false});
  }
}

}  // namespace
}  // namespace auxin::replication
