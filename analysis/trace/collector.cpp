// SPDX-License-Identifier: Apache-2.0
#include "analysis/trace/collector.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace auxin::analysis {

namespace fs = std::filesystem;

Collector::Collector(std::string directory, std::string command, uint64_t most_bytes)
    : directory_(std::move(directory)), command_(std::move(command)), most_bytes_(most_bytes) {}

void Collector::look_for_regions() {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory_, ignored)) {
    const std::string path = entry.path();
    if (entry.path().extension() != ".region" ||
        std::find(known_.begin(), known_.end(), path) != known_.end()) {
      continue;
    }
    auto drain = RegionDrain::open(path, path + ".trace", command_);
    if (!drain) {  // it is just being made, or never will be: the next step sees
      error_ = drain.error();
      continue;
    }
    known_.push_back(path);
    drains_.push_back(std::make_unique<RegionDrain>(std::move(*drain)));
  }
}

uint64_t Collector::step() {
  look_for_regions();
  uint64_t events = 0;
  for (auto& drain : drains_) {
    events += drain->step();
    if (drain->file_bytes() >= most_bytes_) drain->stop_writing_events();
  }
  return events;
}

void Collector::ask_to_end() {
  for (auto& drain : drains_) drain->ask_to_end();
}

bool Collector::recorders_are_done() const {
  return std::all_of(drains_.begin(), drains_.end(),
                     [](const auto& drain) { return drain->recorder_is_done(); });
}

uint64_t Collector::events() const {
  uint64_t sum = 0;
  for (const auto& drain : drains_) sum += drain->events();
  return sum;
}

uint64_t Collector::requests() const {
  uint64_t sum = 0;
  for (const auto& drain : drains_) sum += drain->requests();
  return sum;
}

uint64_t Collector::lost_events() const {
  uint64_t sum = 0;
  for (const auto& drain : drains_) sum += drain->lost_events();
  return sum;
}

uint64_t Collector::file_bytes() const {
  uint64_t sum = 0;
  for (const auto& drain : drains_) sum += drain->file_bytes();
  return sum;
}

Result<std::string> Collector::finish(const std::string& path) {
  step();
  for (auto& drain : drains_) drain->finish();
  if (drains_.empty()) {
    return Error{error_.empty()
                     ? "nothing was recorded: no process of the command loaded Auxin's library (it "
                       "must be dynamically linked and not setuid)"
                     : error_};
  }
  const auto main = std::max_element(
      drains_.begin(), drains_.end(),
      [](const auto& left, const auto& right) { return left->calls() < right->calls(); });
  if (!(*main)->error().empty()) return Error{(*main)->error()};
  std::error_code error;
  fs::rename((*main)->trace_path(), path, error);
  if (error) {  // another file system
    fs::copy_file((*main)->trace_path(), path, fs::copy_options::overwrite_existing, error);
    if (error) return Error{fmt::format("{}: the trace can't be written: {}", path,
                                        error.message())};
  }
  return path;
}

}  // namespace auxin::analysis
