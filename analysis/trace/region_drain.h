// SPDX-License-Identifier: Apache-2.0
//
// Empties the region of one recorded process (recording/region.h) into a trace file.
//
// The process may be killed at any moment and may write anything into the region: each number is
// read once and bounded before it is used.
//
// Thread safety: one thread. step() never waits.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "analysis/trace/sections.h"
#include "recording/region.h"
#include "stmemu/result.h"

namespace auxin::analysis {

class RegionDrain {
 public:
  // Maps the region and begins the trace. `command`: for the description.
  static Result<RegionDrain> open(const std::string& region_path, const std::string& trace_path,
                                  const std::string& command);

  // Writes what is there since the last step; how many events.
  uint64_t step();
  // The recorder is asked to write no more; a step later all it wrote is there.
  void ask_to_end();
  bool recorder_is_done() const;
  // The last step, the names of the code, the end mark. Afterwards the trace is whole.
  void finish();

  int pid() const { return pid_; }
  uint64_t events() const { return events_; }
  // Calls recorded so far, as events or as counts.
  uint64_t calls() const;
  uint64_t requests() const;
  uint64_t lost_events() const;
  uint64_t file_bytes() const { return writer_.size_bytes(); }
  const std::string& trace_path() const { return trace_path_; }
  const std::string& error() const { return writer_.error(); }
  // Events are left where they are from now on: the file has the size it may have.
  void stop_writing_events() { events_wanted_ = false; }

 private:
  struct Unmap {
    uint64_t size_bytes;
    void operator()(recording::Region* region) const;
  };
  using Mapped = std::unique_ptr<recording::Region, Unmap>;

  RegionDrain(Mapped region, SectionWriter writer) :
      region_(std::move(region)), writer_(std::move(writer)) {}

  void describe(const std::string& command);
  void write_calls();
  void write_join_points();
  void write_threads();
  void write_modules();
  void write_paths();
  void write_strings();
  void write_sites();
  void write_uses();
  uint64_t write_events();
  void write_chunk(uint32_t thread, const recording::Event* events, uint32_t count);
  void write_names();
  void write_end();

  Mapped region_;
  SectionWriter writer_;
  std::string trace_path_;
  int pid_ = 0;
  uint32_t chunk_count_ = 0;
  bool events_wanted_ = true;
  uint64_t events_ = 0, left_behind_ = 0;
  std::vector<uint32_t> drained_;          // per chunk: events written so far
  std::vector<uint64_t> chunk_numbers_;    // per chunk: whose they were
  std::vector<bool> join_points_written_;
  uint32_t threads_written_ = 0;
  uint32_t module_generation_ = 0;
  std::vector<bool> paths_written_;        // per slot
  uint32_t strings_written_ = 0;
  std::vector<recording::ModuleRow> modules_;  // as written last
  std::vector<uint64_t> addresses_;            // of all paths and sites, for their names
};

}  // namespace auxin::analysis
