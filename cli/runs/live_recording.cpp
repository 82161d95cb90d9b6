// SPDX-License-Identifier: Apache-2.0
#include "cli/runs/live_recording.h"

#include <time.h>

#include <chrono>
#include <thread>

#include "analysis/trace/collector.h"
#include "cli/runs/run_messages.h"
#include "cli/runs/server_run.h"
#include "cli/runs/work_directory.h"
#include "replication/supervisor/group_memory.h"
#include "replication/supervisor/state_directory.h"

namespace auxin::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTick(5);
constexpr uint64_t kGraceNs = 2'000'000'000;    // for the leader to notice, and for the last step
constexpr uint64_t kMostBytes = uint64_t{1} << 30;

uint64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// The wish, for as long as it lives.
class Wish {
 public:
  Wish(replication::GroupControl& control, const std::string& regions, uint64_t until_ns)
      : control_(control), until_ns_(until_ns) {
    uint64_t now = control_.record_until_ns.load();
    if (now > monotonic_ns()) return;
    supervisor::store_text(control_.record_directory, regions);
    granted_ = control_.record_until_ns.compare_exchange_strong(now, until_ns);
  }
  ~Wish() { withdraw(); }
  Wish(const Wish&) = delete;
  Wish& operator=(const Wish&) = delete;
  bool granted() const { return granted_; }
  void withdraw() {
    uint64_t mine = until_ns_;
    if (granted_) control_.record_until_ns.compare_exchange_strong(mine, 0);
    granted_ = false;
  }

 private:
  replication::GroupControl& control_;
  const uint64_t until_ns_;
  bool granted_ = false;
};

}  // namespace

Result<uint64_t> record_group(const std::string& directory, double seconds,
                              const std::string& trace_path) {
  auto memory =
      supervisor::GroupMemory::open(directory + "/" + supervisor::kMemoryFile, false);
  if (!memory) return Error{memory.error()};
  replication::GroupControl& control = memory->control();
  if (control.phase.load() != replication::GroupPhase::kRunning || control.leader.load() < 0) {
    return Error{"the group does not run"};
  }
  auto work = WorkDirectory::make();
  if (!work) return Error{work.error()};
  const std::string regions = work->sub("regions");
  if (regions.empty()) return Error{work->path() + ": cannot make a directory in it"};

  const uint64_t begin_ns = monotonic_ns();
  const auto length_ns = static_cast<uint64_t>(seconds * 1e9);
  Wish wish(control, regions, begin_ns + length_ns + kGraceNs);
  if (!wish.granted()) return Error{"another recording of this group is on; try again later"};
  analysis::Collector collector(regions, supervisor::load_text(control.name), kMostBytes);
  // The time counts from when the leader has begun.
  uint64_t end_ns = begin_ns + kGraceNs;
  for (bool begun = false; monotonic_ns() < end_ns && !InterruptNotice::interrupted();) {
    collector.step();
    if (!begun && collector.has_begun()) {
      begun = true;
      end_ns = monotonic_ns() + length_ns;
    }
    std::this_thread::sleep_for(kTick);
  }
  wish.withdraw();
  const uint64_t patience_ns = monotonic_ns() + kGraceNs;
  while (!collector.recorders_are_done() && monotonic_ns() < patience_ns) {
    collector.step();
    std::this_thread::sleep_for(kTick);
  }
  if (!collector.has_begun()) {
    return Error{"the leader did not begin a recording within 2 s; is it very busy, or just being "
                 "replaced?"};
  }
  auto kept = collector.finish(trace_path);
  if (!kept) return Error{kept.error()};
  return collector.events();
}

}  // namespace auxin::cli
