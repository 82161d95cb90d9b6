// SPDX-License-Identifier: Apache-2.0
#include "cli/verify/rehearsals.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "analysis/trace/collector.h"
#include "cli/runs/server_run.h"
#include "replication/environment.h"
#include "replication/supervisor/installation.h"
#include "replication/supervisor/server_check.h"

namespace auxin::cli {
namespace {

namespace fs = std::filesystem;
using replication::Outcome;
using replication::RehearsalReport;

constexpr std::chrono::milliseconds kTick(1);
constexpr uint64_t kLongestNs = 300'000'000'000;  // of a rehearsal, whatever it does
constexpr uint32_t kChunks = 1024;                // of the recording: a million events
constexpr uint64_t kMostTraceBytes = uint64_t{256} << 20;

uint64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// The arguments without the program.
std::vector<std::string> arguments_of(const std::vector<std::string>& server) {
  return {server.begin() + 1, server.end()};
}

Result<RehearsalReport*> map_report(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  void* memory = MAP_FAILED;
  if (fd >= 0 && ftruncate(fd, replication::kReportSizeBytes) == 0) {
    memory = mmap(nullptr, replication::kReportSizeBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                  0);
  }
  const int error = errno;
  if (fd >= 0) close(fd);
  if (memory == MAP_FAILED) {
    return Error{fmt::format("{}: can't be made: {}", path, strerrordesc_np(error))};
  }
  return static_cast<RehearsalReport*>(memory);
}

RehearsalEnd end_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAgreed: return RehearsalEnd::kAgreed;
    case Outcome::kDiverged: return RehearsalEnd::kDiverged;
    case Outcome::kStalled: return RehearsalEnd::kStalled;
    default: return RehearsalEnd::kCrashed;
  }
}

}  // namespace

Rehearsals::Rehearsals(Plan plan)
    : plan_(std::move(plan)), initial_copy_(plan_.directory + "/initial") {}

Rehearsals::Rehearsals(Rehearsals&&) noexcept = default;

Result<Rehearsals> Rehearsals::prepare(const Plan& plan) {
  Rehearsals made(plan);
  auto program = supervisor::find_program(plan.server[0]);
  if (!program) return Error{program.error()};
  if (std::string fault = supervisor::server_fault(*program); !fault.empty()) return Error{fault};
  auto library = supervisor::find_library();
  if (!library) return Error{library.error()};
  auto maps = supervisor::find_map_directory("");
  if (!maps) return Error{maps.error()};
  supervisor::Launch& launch = made.launch_;
  launch.program = *program;
  launch.arguments = plan.server;
  launch.library = *library;
  launch.environment[replication::kMapsVariable] = *maps;
  sigemptyset(&launch.signal_mask);

  std::error_code error;
  const std::string working_directory = fs::current_path(error).string();
  if (error) return Error{"the working directory can't be told; change to another one"};
  auto taken = made.initial_copy_.take(arguments_of(plan.server), plan.jobs + 1,
                                       working_directory);
  if (!taken) return Error{taken.error()};
  for (int id = 1; id <= plan.jobs; ++id) {
    Job job;
    job.id = id;
    job.directory = fmt::format("{}/rehearsal-{}", plan.directory, id);
    for (const std::string& path : {job.directory, job.directory + "/regions"}) {
      if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        return Error{fmt::format("{}: can't be made: {}", path, strerrordesc_np(errno))};
      }
    }
    made.jobs_.push_back(std::move(job));
  }
  return made;
}

Rehearsals::~Rehearsals() {
  for (Job& job : jobs_) end(job);
  for (size_t id = 0; !jobs_.empty() && id <= jobs_.size(); ++id) {
    static_cast<void>(static_cast<bool>(initial_copy_.put_back(static_cast<int>(id))));
  }
}

void Rehearsals::end(Job& job) {
  if (job.pid != 0) {
    kill(-job.pid, SIGKILL);
    kill(job.pid, SIGKILL);
    while (waitpid(job.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    job.pid = 0;
  }
  if (job.report != nullptr) munmap(job.report, replication::kReportSizeBytes);
  job.report = nullptr;
}

Result<bool> Rehearsals::start(Job& job, const BaseRun& base, uint64_t seed) {
  if (auto back = initial_copy_.put_back(job.id); !back) return back;
  const std::string report_path = job.directory + "/report";
  auto report = map_report(report_path);
  if (!report) return Error{report.error()};
  job.report = *report;
  job.report->end_position = base.end_position;
  job.report->owner_pid = getpid();
  job.report->stall_ms = plan_.stall_ms;
  job.report->magic = replication::kReportMagic;

  supervisor::Launch launch = launch_;
  launch.memory_path = base.memory_path;
  launch.environment[replication::kRehearsalVariable] = report_path;
  launch.environment[replication::kScheduleVariable] = std::to_string(seed);
  launch.environment[replication::kLeaveOutVariable] = base.leave_out;
  launch.environment[replication::kRecordVariable] = job.directory + "/regions";
  launch.environment[replication::kRecordDetailVariable] = "full";
  launch.environment[replication::kRecordChunksVariable] = std::to_string(kChunks);
  auto pid = supervisor::start_replica(launch, job.id);
  if (!pid) return Error{pid.error()};
  job.pid = *pid;
  job.seed = seed;
  job.started_ns = monotonic_ns();
  return true;
}

// Its process has ended.
Result<Rehearsed> Rehearsals::conclude(Job& job, const BaseRun& base, int status) {
  kill(-job.pid, SIGKILL);  // what a wrapper left
  job.pid = 0;
  const RehearsalReport& report = *job.report;
  const Outcome outcome = report.outcome.load(std::memory_order_acquire);
  if (outcome == Outcome::kFailed) return Error{report.text};
  if (report.followed == 0) {
    return Error{fmt::format("a rehearsal ended before it followed the log, with wait status {}; "
                             "try the server with `auxin run`",
                             status)};
  }
  Rehearsed rehearsed;
  rehearsed.seed = job.seed;
  rehearsed.end = end_of(outcome);
  rehearsed.crash_status = rehearsed.end == RehearsalEnd::kCrashed ? status : 0;
  rehearsed.replies = report.replies.load();
  rehearsed.position = report.position.load();
  rehearsed.seconds = static_cast<double>(monotonic_ns() - job.started_ns) / 1e9;
  rehearsed.report = &report;
  const std::string regions = job.directory + "/regions";
  if (rehearsed.end != RehearsalEnd::kAgreed || keep_all_traces_) {
    const std::string trace_path = job.directory + "/trace";
    analysis::Collector collector(regions, base.memory_path, kMostTraceBytes);
    collector.step();
    if (collector.finish(trace_path)) rehearsed.trace_path = trace_path;
  }
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(regions, ignored)) {
    fs::remove(entry.path(), ignored);
  }
  return rehearsed;
}

Result<bool> Rehearsals::run(const BaseRun& base, uint64_t first, uint64_t count,
                             const std::function<bool(const Rehearsed&)>& judge) {
  uint64_t next = 0;
  size_t running = 0;
  bool wanted = true;
  const auto end_all = [&] {
    for (Job& job : jobs_) end(job);
  };
  while ((wanted && next < count) || running > 0) {
    for (Job& job : jobs_) {
      if (job.pid != 0 || !wanted || next >= count) continue;
      if (auto started = start(job, base, first + next); !started) {
        end_all();
        return started;
      }
      ++next;
      ++running;
    }
    for (Job& job : jobs_) {
      if (job.pid == 0) continue;
      int status = 0;
      if (waitpid(job.pid, &status, WNOHANG) != job.pid) {
        if (monotonic_ns() - job.started_ns > kLongestNs) kill(-job.pid, SIGKILL);
        continue;
      }
      --running;
      auto rehearsed = conclude(job, base, status);
      if (!rehearsed) {
        const Error error{rehearsed.error()};
        end_all();
        return error;
      }
      wanted = judge(*rehearsed) && wanted;
      end(job);
      if (!wanted) {
        end_all();
        return true;
      }
    }
    if (InterruptNotice::interrupted()) {
      end_all();
      return Error{"interrupted"};
    }
    std::this_thread::sleep_for(kTick);
  }
  return true;
}

}  // namespace auxin::cli
