// SPDX-License-Identifier: Apache-2.0
#include "cli/runs/run_messages.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "cli/text_table.h"
#include "replication/supervisor/sentence.h"

namespace auxin::cli {

void complain(const std::string& sentence) { fmt::print(stderr, "auxin: {}\n", sentence); }

void tell_progress(uint64_t events, uint64_t requests, uint64_t trace_bytes) {
  if (isatty(STDERR_FILENO) == 0) return;
  complain(fmt::format("{} calls recorded in {} requests, {}", grouped(events), grouped(requests),
                       supervisor::describe_bytes(trace_bytes)));
}

bool tell_failures(const std::vector<std::string>& loads, const RunResult& run) {
  bool good = true;
  for (size_t i = 0; i < loads.size() && i < run.load_statuses.size(); ++i) {
    if (run.load_statuses[i] == 0) continue;
    good = false;
    complain(run.load_statuses[i] < 0
                 ? fmt::format("the load '{}' did not end", loads[i])
                 : fmt::format("the load '{}' ended with status {}", loads[i],
                               run.load_statuses[i]));
  }
  if (run.server_status && !loads.empty()) {
    good = false;
    complain(fmt::format("the server ended under load, with status {}", *run.server_status));
  }
  return good;
}

}  // namespace auxin::cli
