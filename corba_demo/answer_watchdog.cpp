// SPDX-License-Identifier: Apache-2.0
#include "answer_watchdog.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmath>

namespace bank {

namespace {

void give_up(int) {
  constexpr char kMessage[] = "bank_load: the bank does not answer\n";
  const ssize_t unused = write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
  static_cast<void>(unused);
  _exit(1);
}

}  // namespace

void expect_answer_within(double seconds) {
  struct sigaction action {};
  action.sa_handler = give_up;
  sigaction(SIGALRM, &action, nullptr);
  itimerval timer{};
  timer.it_value.tv_sec = static_cast<time_t>(seconds);
  timer.it_value.tv_usec = static_cast<suseconds_t>((seconds - std::floor(seconds)) * 1e6);
  setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace bank
