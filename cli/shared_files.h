// SPDX-License-Identifier: Apache-2.0
//
// Files of the file system that several replicas have open for writing: replicas on one host share
// it, and what they write there gets mixed (DESIGN 4.10).
#pragma once

#include <string>
#include <vector>

namespace auxin::cli {

// Paths, sorted: regular files that at least two of the processes may write. Their standard output
// and error are left out (followers hold them back), also where they are those of the supervisor
// (0: none) under another number, and so is what is in `own_directory`. What can't be looked at (a
// process that has just ended, another user's) has none.
std::vector<std::string> shared_files(const std::vector<int>& pids, int supervisor_pid,
                                      const std::string& own_directory);

}  // namespace auxin::cli
