// SPDX-License-Identifier: Apache-2.0
#include "cli/runs/measured_run.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cli/round_trips/region.h"
#include "cli/runs/work_directory.h"
#include "replication/supervisor/installation.h"

namespace auxin::cli {
namespace {

using analysis::Form;
using round_trips::Region;

constexpr const char* kObserver = "libauxin_round_trips.so";

// The region of one run, mapped.
class CountedTrips {
 public:
  static Result<CountedTrips> make(const std::string& path) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    void* memory = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, sizeof(Region)) == 0) {
      memory = mmap(nullptr, sizeof(Region), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    const int error = errno;
    if (fd >= 0) close(fd);
    if (memory == MAP_FAILED) {
      return Error{fmt::format("{}: cannot be made: {}", path, strerrordesc_np(error))};
    }
    auto* region = static_cast<Region*>(memory);
    region->magic = round_trips::kMagic;
    return CountedTrips(region);
  }
  ~CountedTrips() {
    if (region_ != nullptr) munmap(region_, sizeof(Region));
  }
  CountedTrips(CountedTrips&& other) noexcept : region_(other.region_) {
    other.region_ = nullptr;
  }
  CountedTrips& operator=(CountedTrips&&) = delete;

  analysis::RunCost cost(double load_s) const {
    analysis::RunCost cost;
    for (const auto& bucket : region_->buckets) cost.round_trips += bucket.load();
    cost.throughput_per_s = load_s > 0 ? 1 / load_s : 0;
    const uint64_t first = region_->first_ns.load(), last = region_->last_ns.load();
    if (cost.round_trips == 0 || last <= first) return cost;
    cost.throughput_per_s =
        static_cast<double>(cost.round_trips) * 1e9 / static_cast<double>(last - first);
    cost.median_us = quantile_us(cost.round_trips, 0.5);
    cost.p99_us = quantile_us(cost.round_trips, 0.99);
    return cost;
  }

 private:
  explicit CountedTrips(Region* region) : region_(region) {}

  double quantile_us(uint64_t all, double part) const {
    const auto rank = static_cast<uint64_t>(static_cast<double>(all) * part);
    uint64_t below = 0;
    for (int bucket = 0; bucket < round_trips::kBuckets; ++bucket) {
      below += region_->buckets[bucket].load();
      if (below > rank) return round_trips::value_of_bucket(bucket) / 1000;
    }
    return 0;
  }

  Region* region_;
};

Result<std::string> find_observer() {
  auto library = supervisor::find_library();
  if (!library) return Error{library.error()};
  const std::filesystem::path path = std::filesystem::path(*library).parent_path() / kObserver;
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error)) return path.string();
  return Error{fmt::format("{}: not found; it is installed beside libauxin.so: reinstall Auxin",
                           path.string())};
}

Result<std::string> configuration_file(const std::string& directory, Form form) {
  if (form != Form::kEveryLock) return std::string();
  const std::string path = directory + "/every-lock.toml";
  std::ofstream file(path);
  file << "[locks]\norder = \"all\"\n";
  file.close();
  if (file) return path;
  return Error{fmt::format("{}: cannot be written: {}", path, strerrordesc_np(errno))};
}

Result<analysis::RunCost> run_form(ServerPlan plan, Form form, const std::string& observer) {
  auto work = WorkDirectory::make();
  if (!work) return Error{work.error()};
  const std::string path = work->path() + "/round-trips";
  auto trips = CountedTrips::make(path);
  if (!trips) return Error{trips.error()};
  auto configuration = configuration_file(work->path(), form);
  if (!configuration) return Error{configuration.error()};
  plan.kind = form == Form::kNative      ? RunKind::kNative
              : form == Form::kPreloaded ? RunKind::kPreloaded
                                         : RunKind::kGroup;
  plan.configuration = *configuration;
  plan.mute = true;  // the recorded run has told it all
  plan.directory = work->path();
  const char* present = getenv("LD_PRELOAD");
  plan.load_environment["LD_PRELOAD"] =
      present != nullptr && *present != '\0' ? observer + ":" + present : observer;
  plan.load_environment[round_trips::kFileVariable] = path;
  const std::vector<std::string> loads = plan.loads;
  ServerRun run(std::move(plan));
  auto done = run.run([] {});
  if (!done) return Error{done.error()};
  if (done->interrupted) return Error{"interrupted"};
  for (size_t i = 0; i < loads.size(); ++i) {
    if (done->load_statuses[i] == 0) continue;
    return Error{fmt::format("the load '{}' {}", loads[i],
                             done->load_statuses[i] < 0
                                 ? "did not end"
                                 : fmt::format("ended with status {}", done->load_statuses[i]))};
  }
  if (done->server_status) {
    return Error{fmt::format("the server ended under load, with status {}", *done->server_status)};
  }
  return trips->cost(done->load_s);
}

}  // namespace

Result<std::vector<analysis::Round>> measure_forms(
    const ServerPlan& plan, uint32_t rounds,
    const std::function<void(uint32_t, uint32_t)>& told) {
  auto observer = find_observer();
  if (!observer) return Error{observer.error()};
  std::vector<analysis::Round> measured(rounds);
  uint32_t done = 0;
  const uint32_t all = rounds * static_cast<uint32_t>(analysis::kForms.size());
  for (uint32_t round = 0; round < rounds; ++round) {
    // To and fro, so that no form always comes first.
    auto forms = analysis::kForms;
    if (round % 2 == 1) std::reverse(forms.begin(), forms.end());
    for (const Form form : forms) {
      auto cost = run_form(plan, form, *observer);
      if (!cost) {
        return Error{fmt::format("measuring, form '{}': {}", analysis::name_of(form),
                                 cost.error())};
      }
      measured[round][static_cast<size_t>(form)] = *cost;
      told(++done, all);
    }
  }
  return measured;
}

}  // namespace auxin::cli
