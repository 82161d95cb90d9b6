// SPDX-License-Identifier: Apache-2.0
#include "cli/verify/base_run.h"

#include <errno.h>
#include <fmt/format.h>
#include <string.h>
#include <unistd.h>

#include "cli/runs/recorded_run.h"
#include "cli/runs/run_messages.h"
#include "cli/runs/server_run.h"
#include "replication/environment.h"
#include "replication/supervisor/group_memory.h"

namespace auxin::cli {
namespace {

// Where ServerRun has its group.
constexpr char kMemoryInRun[] = "/group/recorded/memory";

// The group takes its directory away when it ends; what has a second name stays.
Result<bool> keep_memory(const std::string& run_directory, BaseRun* base) {
  const std::string path = run_directory + kMemoryInRun;
  unlink(base->memory_path.c_str());
  if (link(path.c_str(), base->memory_path.c_str()) != 0) {
    return Error{fmt::format("{}: the group's memory can't be kept: {}", base->memory_path,
                             strerrordesc_np(errno))};
  }
  auto memory = supervisor::GroupMemory::open(path, true);
  if (!memory) return Error{memory.error()};
  base->end_position = memory->log().end();
  base->requests = memory->control().requests.load();
  base->replies = memory->control().replies.load();
  if (memory->control().epoch.load() != 1 || memory->control().replicas[0].incarnation > 1) {
    return Error{"the server died under its load; make it live through it first"};
  }
  if (memory->log().begin() != 0) {
    return Error{fmt::format("the log was too short for this load: it no longer reaches back to "
                             "its start (it begins at entry {}); give a lighter --load, or a "
                             "longer log with --config (log.entries, log.payload)",
                             memory->log().begin())};
  }
  return true;
}

std::string failed_load(const BasePlan& plan, const RunResult& run) {
  for (size_t i = 0; i < run.load_statuses.size(); ++i) {
    const std::string& line = i < plan.loads.size() ? plan.loads[i] : plan.state_load;
    const int status = run.load_statuses[i];
    if (status < 0) return fmt::format("the load '{}' did not end", line);
    if (status != 0) return fmt::format("the load '{}' ended with status {}", line, status);
  }
  return {};
}

}  // namespace

Result<BaseRun> make_base_run(const BasePlan& plan, uint64_t seed, const std::string& leave_out) {
  BaseRun base;
  base.seed = seed;
  base.leave_out = leave_out;
  base.memory_path = plan.directory + "/base.memory";
  base.trace_path = plan.directory + "/base.trace";

  Result<bool> kept = Error{"the loads did not begin"};
  ServerPlan server;
  server.kind = RunKind::kGroup;
  server.replicas = 1;
  server.server = plan.server;
  server.loads = plan.loads;
  server.last_load = plan.state_load;
  server.configuration = plan.configuration;
  server.ready_timeout_s = plan.ready_timeout_s;
  server.mute = plan.mute;
  server.environment[replication::kScheduleVariable] = std::to_string(seed);
  if (!leave_out.empty()) server.environment[replication::kLeaveOutVariable] = leave_out;
  server.before_the_end = [&](const std::string& directory) {
    kept = keep_memory(directory, &base);
  };
  RecordingPlan recording;
  recording.trace_path = base.trace_path;
  auto run = record_server(std::move(server), recording);
  if (!run) return Error{run.error()};
  if (!run->failure.empty()) return Error{run->failure};
  if (run->run.interrupted) return Error{"interrupted"};
  if (run->run.server_status) {
    return Error{fmt::format("the server ended under load, with status {}; it must stay until its "
                             "loads are done",
                             *run->run.server_status)};
  }
  if (const std::string failure = failed_load(plan, run->run); !failure.empty()) {
    return Error{failure + "; correct it, or the server"};
  }
  if (!kept) return Error{kept.error()};
  if (base.requests == 0) {
    return Error{"the server received no request; give a --load that calls it"};
  }
  base.load_s = run->run.load_s;
  return base;
}

}  // namespace auxin::cli
