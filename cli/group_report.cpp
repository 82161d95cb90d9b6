// SPDX-License-Identifier: Apache-2.0
#include "cli/group_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "checkpoint/tracking/tracking_method.h"
#include "cli/shared_files.h"
#include "replication/supervisor/processes.h"
#include "replication/supervisor/promotion_times.h"
#include "replication/supervisor/sentence.h"
#include "replication/supervisor/state_directory.h"

namespace auxin::cli {
namespace {

using replication::GroupControl;
using replication::GroupPhase;
using replication::PromotionRecord;
using replication::ReplicaSlot;
using replication::Role;
using supervisor::load_text;

constexpr int kMostTries = 100;  // to read a record that is being written

std::vector<std::string> divided(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

const char* phase_name(GroupPhase phase) {
  switch (phase) {
    case GroupPhase::kStarting: return "starting";
    case GroupPhase::kRunning: return "running";
    case GroupPhase::kEnding: return "ending";
    case GroupPhase::kEnded: return "ended";
    case GroupPhase::kStopped: return "stopped";
  }
  return "unknown";
}

// The server process that the slot names, if it lives; else what was started for it.
int living_pid(const ReplicaSlot& slot) {
  const int server = slot.pid.load(std::memory_order_relaxed);
  if (supervisor::process_lives(server) &&
      supervisor::start_time_ticks(server) == slot.start_time_ticks.load()) {
    return server;
  }
  const int child = static_cast<int>(slot.child_pid.load(std::memory_order_relaxed));
  return server == 0 && supervisor::process_lives(child) ? child : 0;
}

const char* role_name(Role role, bool lives) {
  if (role == Role::kDiverged) return "diverged";
  if (role == Role::kBackup) return "backup";
  if (!lives) return "dead";
  switch (role) {
    case Role::kLeader: return "leader";
    case Role::kFollower:
    case Role::kPromoting: return "follower";  // it leads once it serves
    case Role::kDead: return "dead";
    default: return "joining";
  }
}

ReplicaReport read_replica(const ReplicaSlot& slot, int id, uint64_t log_end) {
  ReplicaReport report;
  report.id = id;
  report.pid = living_pid(slot);
  const bool lives = report.pid != 0;
  report.role = role_name(slot.role.load(std::memory_order_acquire), lives);
  report.position = std::min(slot.position.load(std::memory_order_relaxed), log_end);
  if (report.role == "leader") report.position = log_end;
  report.lag = log_end - report.position;
  report.compared = slot.compared.load(std::memory_order_relaxed);
  report.mismatches = slot.mismatches.load(std::memory_order_relaxed);
  report.ready = lives && slot.ready.load(std::memory_order_relaxed) != 0;
  report.starts = slot.incarnation.load(std::memory_order_relaxed);
  if (slot.exit_known.load() != 0) {
    report.last_end = supervisor::describe_wait_status(slot.wait_status.load());
  }
  report.message = load_text(slot.message);
  return report;
}

bool read_promotion(const PromotionRecord& record, PromotionReport* report) {
  for (int i = 0; i < kMostTries; ++i) {
    const auto read = supervisor::read_promotion(record);
    if (!read) continue;
    *report = PromotionReport{read->epoch,
                              read->from,
                              read->to,
                              read->detect_us(),
                              read->serve_us(),
                              read->hang ? "hang" : "death",
                              read->since_death() ? "death" : "detection",
                              read->at_realtime_ns,
                              read->log_position};
    return true;
  }
  return false;
}

std::vector<PromotionReport> read_promotions(const GroupControl& control, uint32_t count) {
  std::vector<PromotionReport> promotions;
  const uint32_t kept = std::min<uint32_t>(count, replication::kMaxPromotions);
  for (uint32_t i = count - kept; i != count; ++i) {
    PromotionReport report;
    if (read_promotion(control.promotions[i % replication::kMaxPromotions], &report)) {
      promotions.push_back(std::move(report));
    }
  }
  return promotions;
}

}  // namespace

Result<GroupReport> read_group(const std::string& directory) {
  auto opened = supervisor::GroupMemory::open(directory + "/" + supervisor::kMemoryFile, true);
  if (!opened) return Error{opened.error()};
  const supervisor::GroupMemory& group = *opened;
  const GroupControl& control = group.control();
  const auto& log = group.log();
  const auto& layout = group.memory().layout();

  GroupReport report;
  report.name = load_text(control.name);
  report.style = supervisor::style_name(control.style.load());
  report.phase = phase_name(control.phase.load());
  report.stop_reason = load_text(control.stop_reason);
  report.state_directory = directory;
  const int supervisor_pid = control.supervisor_pid.load();
  if (control.supervisor.seems_held() && supervisor::process_lives(supervisor_pid)) {
    report.supervisor_pid = supervisor_pid;
  }
  report.epoch = control.epoch.load();
  report.facets = divided(load_text(control.facets));
  report.maps = divided(load_text(control.map_names));

  const bool logged = control.style.load() != replication::Style::kNone;
  report.log_begin = log.begin();
  report.log_end = log.end();
  report.log_bytes = (report.log_end - report.log_begin) * 64 +
                     (log.payload_end() - log.payload_begin());
  report.log_capacity_entries = layout.entry_capacity;
  report.log_capacity_bytes = layout.entry_capacity * 64 + layout.payload_size_bytes;
  report.log_used_percent = static_cast<int>(
      std::max((report.log_end - report.log_begin) * 100 / layout.entry_capacity,
               (log.payload_end() - log.payload_begin()) * 100 / layout.payload_size_bytes));
  report.checkpoint = control.checkpoint_number.load();
  report.checkpoint_position = control.checkpoint_position.load();
  const auto method =
      static_cast<checkpoint::TrackingMethod>(control.checkpoint_method.load());
  if (method != checkpoint::TrackingMethod::kAutomatic)
    report.checkpoint_method = checkpoint::name_of(method);
  report.checkpoint_obstacle = load_text(control.checkpoint_obstacle);
  const bool from_start = report.log_begin == 0 && control.rejoin_possible.load() != 0;
  const bool from_checkpoint =
      report.checkpoint != 0 && report.checkpoint_position >= report.log_begin;
  report.rejoin = logged && (from_start || from_checkpoint);
  for (uint32_t id = 0; id < control.settings.replica_count; ++id) {
    report.replicas.push_back(
        read_replica(control.replicas[id], static_cast<int>(id), report.log_end));
  }
  std::vector<int> pids;
  for (const ReplicaReport& replica : report.replicas) {
    if (replica.pid != 0) pids.push_back(replica.pid);
  }
  report.shared_files = shared_files(pids, report.supervisor_pid, directory);
  for (std::string& path : files_several_opened(control)) {
    if (std::find(report.shared_files.begin(), report.shared_files.end(), path) ==
        report.shared_files.end()) {
      report.shared_files.push_back(std::move(path));
    }
  }
  std::sort(report.shared_files.begin(), report.shared_files.end());
  report.requests = control.requests.load();
  report.replies = control.replies.load();
  report.promotion_count = control.promotion_count.load();
  report.promotions = read_promotions(control, report.promotion_count);
  report.locks = count_locks(control);
  return report;
}

}  // namespace auxin::cli
