// SPDX-License-Identifier: Apache-2.0
// A signal to exactly one process. Tests get numbers of processes from files and shared memory,
// and kill() takes 0 for the caller's process group, -1 for everybody: one look too early would
// stop or end the test runner, or the whole machine.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/types.h>

namespace auxin {

// kill(), and whether it succeeded; with a number that does not mean one process the test fails,
// and nothing is sent. Never blocks.
inline bool kill_one(pid_t pid, int number) {
  if (pid <= 0) {
    ADD_FAILURE() << "signal " << number << " to " << pid << ", which is not one process";
    return false;
  }
  return ::kill(pid, number) == 0;
}

}  // namespace auxin
