// SPDX-License-Identifier: Apache-2.0
#include "cli/runs/recorded_run.h"

#include <chrono>
#include <filesystem>

#include "analysis/trace/collector.h"
#include "cli/runs/work_directory.h"
#include "replication/environment.h"

namespace auxin::cli {
namespace {

using Clock = std::chrono::steady_clock;

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// The largest: wrappers that load the preload too have nothing to look into.
void keep_snapshots(const std::string& regions, const std::string& to) {
  std::filesystem::path largest;
  uintmax_t most = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(regions, error)) {
    if (entry.path().extension() != ".snapshots" || entry.file_size(error) <= most) continue;
    most = entry.file_size(error);
    largest = entry.path();
  }
  if (!largest.empty()) std::filesystem::rename(largest, to, error);
}

}  // namespace

Result<RecordedRun> record_server(ServerPlan server, const RecordingPlan& recording) {
  auto work = WorkDirectory::make();
  if (!work) return Error{work.error()};
  const std::string regions = work->sub("regions");
  if (regions.empty()) return Error{work->path() + ": cannot make a directory in it"};
  server.directory = work->path();
  server.environment[replication::kRecordVariable] = regions;
  server.environment[replication::kRecordDetailVariable] =
      recording.detail == recording::Detail::kCount ? "count" : "full";
  server.environment[replication::kRecordChunksVariable] = std::to_string(recording.chunk_count);

  if (!recording.snapshots_path.empty()) {
    server.environment[replication::kRecordSnapshotsVariable] = "1";
  }

  analysis::Collector collector(regions, joined(server.server), recording.most_bytes);
  auto told = Clock::now();
  const auto tick = [&] {
    collector.step();
    if (!recording.progress || Clock::now() - told < std::chrono::seconds(1)) return;
    told = Clock::now();
    recording.progress(collector.events(), collector.requests(), collector.file_bytes());
  };
  RecordedRun result;
  {
    ServerRun run(std::move(server));
    auto done = run.run(tick);
    if (done) {
      result.run = *done;
    } else {
      result.failure = done.error();
    }
  }
  auto kept = collector.finish(recording.trace_path);
  if (!kept) return Error{result.failure.empty() ? kept.error() : result.failure};
  if (!recording.snapshots_path.empty()) keep_snapshots(regions, recording.snapshots_path);
  result.events = collector.events();
  result.lost_events = collector.lost_events();
  return result;
}

}  // namespace auxin::cli
