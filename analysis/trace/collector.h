// SPDX-License-Identifier: Apache-2.0
//
// Collects what the processes under one recording write: each process that loads the preload makes
// a region in the directory (a wrapper shell and the server behind it are two), and each region
// becomes a trace file beside it.
//
// Thread safety: step() and the rest on one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "analysis/trace/region_drain.h"

namespace auxin::analysis {

class Collector {
 public:
  // `directory` is this user's alone. `most_bytes`: when a trace has grown so large its further
  // events are counted as lost.
  Collector(std::string directory, std::string command, uint64_t most_bytes);

  // Drains every region, also new ones. How many events.
  uint64_t step();
  void ask_to_end();
  bool has_begun() const { return !drains_.empty(); }
  bool recorders_are_done() const;
  // Ends the traces; the main one (of the process with the most calls) is moved to `path`. An
  // error: nothing was recorded, or the file can't be written.
  Result<std::string> finish(const std::string& path);

  uint64_t events() const;
  uint64_t requests() const;
  uint64_t lost_events() const;
  uint64_t file_bytes() const;

 private:
  void look_for_regions();

  std::string directory_, command_;
  uint64_t most_bytes_;
  std::vector<std::string> known_;
  std::vector<std::unique_ptr<RegionDrain>> drains_;
  std::string error_;  // of a region that can't be drained
};

}  // namespace auxin::analysis
