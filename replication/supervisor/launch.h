// SPDX-License-Identifier: Apache-2.0
//
// Starting the process of a replica.
//
// It gets a process group of its own (so that a terminal's ^C reaches the supervisor only), the
// library in LD_PRELOAD, its group and number in the environment, and no address randomisation. It
// is not tied to the supervisor's life.
//
// Thread safety: the calling process must have one thread.
#pragma once

#include <signal.h>

#include <map>
#include <string>
#include <vector>

#include "stmemu/result.h"

namespace auxin::supervisor {

struct Launch {
  std::string program;                 // absolute path
  std::vector<std::string> arguments;  // with the program's name as the user gave it; {replica}
  std::string working_directory;       // "": the supervisor's
  std::string library;                 // libauxin.so
  std::string memory_path;
  std::map<std::string, std::string> environment;           // set in any case
  bool keep_standard_input = false;    // else /dev/null
  sigset_t signal_mask = {};           // what the replica begins with
  bool ignore_broken_pipe = false;     // the same for SIGPIPE's disposition
  std::vector<int> inherited_fds;      // the replica gets them under the same numbers
};

// What a warm standby listens to; neither is owned.
struct StandbyEnds {
  int pidfd = -1;    // its memory stands ready until that process has ended; -1: it begins at once
  int updates = -1;  // a pipe's reading end: newer segments of its image
};

// A replica out of a checkpoint's segments, oldest first. Of `launch` it takes where it runs.
Result<int> restore_replica(const Launch& launch, const std::string& restorer,
                            const std::vector<std::string>& segments, int replica,
                            const StandbyEnds& standby = {});

// The pid of the started process, which has passed its exec. An error is a sentence.
Result<int> start_replica(const Launch& launch, int replica);

}  // namespace auxin::supervisor
