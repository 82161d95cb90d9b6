// SPDX-License-Identifier: Apache-2.0
//
// A failure that is kept (`auxin verify --keep DIR`), so that it can be replayed on the very log on
// which it happened:
//
//   failure.json    server, where it was run, seeds, what failed
//   base.memory     the group's memory with the finished log (sparse)
//   base.trace      the recording of the base run
//   failed.trace    that of the rehearsal
//
// Thread safety: one thread.
#pragma once

#include <string>
#include <vector>

#include "cli/verify/base_run.h"
#include "cli/verify/verify_report.h"
#include "stmemu/result.h"

namespace auxin::cli {

struct KeptFailure {
  std::vector<std::string> server;
  std::string working_directory;  // in which it was run
  BaseRun base;
  uint64_t seed = 0;
};

// Before the long work: the directory is there and can be written. "": none is asked for.
Result<bool> prepare_kept_failure(const std::string& directory);

// Makes the directory if need be; an error names the path.
Result<bool> keep_failure(const std::string& directory, const std::vector<std::string>& server,
                          const BaseRun& base, const Failure& failure,
                          const std::string& trace_path);
// An error: it is no such directory, or its files are damaged.
Result<KeptFailure> load_kept_failure(const std::string& named);

}  // namespace auxin::cli
