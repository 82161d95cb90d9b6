// SPDX-License-Identifier: Apache-2.0
//
// The replicas' own paths as they were when the group first started.
//
// An argument with {replica} in it usually names a directory or file of that replica's own. A
// replica that replays the log from its start must find these as they were then, so they are copied
// before the first start and put back before each further one (docs/ARCHITECTURE.md). What did not
// exist is remembered as absent, and removed again.
//
// Which part of an argument is a path is not known. Taken is what stands from the argument's start,
// or from behind an = or an option's letter, up to the end of the component that holds {replica}:
// `--data=/srv/{replica}/log` owns /srv/0. What never comes into being costs nothing.
//
// Thread safety: one thread. A crash while putting back is mended by the next attempt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stmemu/result.h"

namespace auxin::supervisor {

// Every {replica} in the text replaced by the number.
std::string with_replica(const std::string& text, int replica);

// Absolute paths that may be the replica's own, by its arguments.
std::vector<std::string> paths_of_replica(const std::vector<std::string>& arguments, int replica,
                                          const std::string& working_directory);

class InitialCopy {
 public:
  // The copy is (or will be) in `directory`.
  explicit InitialCopy(std::string directory) : directory_(std::move(directory)) {}

  // Copies the paths of replicas 0 .. count-1. Nothing is left in `directory` if it fails, and
  // nothing is made there if no argument holds {replica}.
  Result<bool> take(const std::vector<std::string>& arguments, int count,
                    const std::string& working_directory);

  // Makes the replica's paths as they were. The replica must not run.
  Result<bool> put_back(int replica) const;

 private:
  std::string directory_;
};

}  // namespace auxin::supervisor
