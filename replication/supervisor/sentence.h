// SPDX-License-Identifier: Apache-2.0
//
// Parts of the sentences in which the supervisor and the command speak to the user.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stmemu/result.h"

namespace auxin::supervisor {

// An operating error: "PATH: cannot WHAT: errno's text".
Error failed(const std::string& path, const std::string& what, int error_number);

// "exited with status 3", "was killed by SIGKILL", from a status as wait(2) gave it.
std::string describe_wait_status(int wait_status);

// "SIGTERM"; "signal 40" where it has no name.
std::string signal_name(int signal);

// "16 MiB", "1.5 GiB": two significant decimals at most.
std::string describe_bytes(uint64_t bytes);

// "312 µs", "1.8 ms", "2.5 s".
std::string describe_microseconds(uint64_t us);

// The command line as a shell would take it.
std::string quote_command(const std::vector<std::string>& words);

// The status a shell would report: the exit status, or 128 + the signal.
int shell_status(int wait_status);

}  // namespace auxin::supervisor
