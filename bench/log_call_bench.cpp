// SPDX-License-Identifier: Apache-2.0
//
// What it costs a process to have its calls of the system told to its log, a function.
//
//   log_call_bench --what told     fsync(-1), told
//   log_call_bench --what passed   the same past the function that would tell it
//   log_call_bench --what plain    the system call itself
//
// with --seconds S. Prints a JSON object with the median, nanoseconds a call.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "auxin/checkpoint.h"

namespace {

constexpr int kBatch = 2000;
uint64_t told = 0;

double now_ns() {
  timespec now{};
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

}  // namespace

int main(int argc, char** argv) {
  const option options[] = {{"what", required_argument, nullptr, 'w'},
                            {"seconds", required_argument, nullptr, 's'},
                            {nullptr, 0, nullptr, 0}};
  std::string what;
  double seconds = 1;
  for (int letter; (letter = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    if (letter == 'w') what = optarg;
    if (letter == 's') seconds = strtod(optarg, nullptr);
    if (letter == '?') return 2;
  }
  if (what != "told" && what != "passed" && what != "plain") {
    fprintf(stderr, "log_call_bench: --what told|passed|plain\n");
    return 1;
  }
  auxin::checkpoint::demand(auxin_checkpoint_log_to(
      [](void*, const auxin_checkpoint_record* record) { told = record->number; }, nullptr));
  auxin::checkpoint::demand(auxin_checkpoint_log_system_calls(what == "told" ? 1 : 0));
  std::vector<double> figures;
  for (const double end = now_ns() + seconds * 1e9; now_ns() < end || figures.size() < 5;) {
    const double began = now_ns();
    for (int i = 0; i < kBatch; ++i) {
      if ((what == "plain" ? syscall(SYS_fsync, -1) : fsync(-1)) != -1) return 1;
    }
    figures.push_back((now_ns() - began) / kBatch);
  }
  auxin_checkpoint_log_stop();
  if ((told != 0) != (what == "told")) {
    fprintf(stderr, "log_call_bench: the log was told what it should not, or nothing\n");
    return 1;
  }
  std::sort(figures.begin(), figures.end());
  printf("{\"median\": %.2f, \"count\": %zu}\n", figures[figures.size() / 2], figures.size());
  return 0;
}
