// SPDX-License-Identifier: Apache-2.0
//
// The numbers of one run, from the call log: rates, latencies, gaps between replies, what clients
// saw of each kill, and errors; as text and as JSON. Pure functions of finished data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "call_log.h"
#include "ledger_check.h"
#include "load_options.h"

namespace bank {

// Between two replies that follow each other.
struct Gap {
  uint64_t begin_ns;  // CLOCK_MONOTONIC
  uint64_t length_ns;
  int thread;         // -1: replies of all threads together
};

// What the clients saw of one kill.
struct KillView {
  uint64_t time_ns;
  bool covered;             // there were replies after it; the rest means nothing otherwise
  uint64_t first_reply_ns;  // from the kill to the first reply to anybody
  uint64_t gap_ns;          // the longest gap (all threads together) in the 200 ms after it
  uint64_t all_replied_ns;  // from the kill until every thread that went on had a reply
  uint64_t slowest_call_ns; // of the calls in flight at the kill or begun in the 200 ms after it
  uint64_t error_count;     // calls that failed within a second of it
};

struct LoadReport {
  uint64_t begin_ns = 0, end_ns = 0;
  uint64_t call_count = 0, acknowledged_count = 0, error_count = 0;
  uint64_t wrong_answer_count = 0, late_start_count = 0;
  LatencyHistogram latency, response;
  std::vector<Gap> gaps;         // the ten longest, all threads together
  std::vector<Gap> thread_gaps;  // the ten longest in any one thread
  std::vector<KillView> kills;
  std::vector<std::string> problems;  // clients that did not run or connected more than once
  bool verified = false;
  std::string not_verified_because;
  LedgerVerdict ledger;

  bool good() const {
    return error_count == 0 && problems.empty() && verified && ledger.violation_count == 0;
  }
};

// Everything but `problems` and the verification. `kill_times_ns` may be empty.
void summarise(const LoadOptions& options, CallLog& log,
               const std::vector<uint64_t>& kill_times_ns, LoadReport& report);

std::string text_of(const LoadOptions& options, CallLog& log, const LoadReport& report);
std::string json_of(const LoadOptions& options, CallLog& log, const LoadReport& report);

}  // namespace bank
