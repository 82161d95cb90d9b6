// SPDX-License-Identifier: Apache-2.0
//
// What one question and one answer cost between two processes that do nothing but look for them:
// two words in shared memory, each on a line of its own, and nothing else. No commit that another
// process carries out can be faster than this (mode isolated).
//
// With --lines N the asker also writes N cache lines before each question and the other reads them
// before it answers, as contents are handed over.
//
//   ping_pong [--lines N] [--seconds S]
//
// Prints a JSON object: nanoseconds of a round trip, the median over batches, and the least.
#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <vector>

namespace {

constexpr uint64_t kMostLines = 4096;
constexpr int kBatch = 200;  // round trips between two looks at the clock
constexpr int kExitUsage = 2;

struct alignas(256) Line {  // beyond the reach of adjacent-line prefetching
  std::atomic<uint64_t> word;
};

struct Shared {
  Line question, answer;
  alignas(256) std::atomic<uint64_t> contents[kMostLines][8];
};

double now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

[[noreturn]] void answer(Shared& shared, uint64_t lines) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  uint64_t sum = 0;
  for (uint64_t seen = 0;;) {
    const uint64_t asked = shared.question.word.load(std::memory_order_acquire);
    if (asked == seen) {
      __builtin_ia32_pause();
      continue;
    }
    for (uint64_t line = 0; line < lines; ++line) {
      sum += shared.contents[line][0].load(std::memory_order_relaxed);
    }
    seen = asked;
    // The sum is used, or nothing would have to be read.
    shared.answer.word.store(seen + (sum == ~uint64_t{0}), std::memory_order_release);
  }
}

void ask(Shared& shared, uint64_t lines, uint64_t number) {
  for (uint64_t line = 0; line < lines; ++line) {
    shared.contents[line][0].store(number, std::memory_order_relaxed);
  }
  shared.question.word.store(number, std::memory_order_release);
  while (shared.answer.word.load(std::memory_order_acquire) != number) __builtin_ia32_pause();
}

}  // namespace

int main(int argc, char** argv) {
  const option options[] = {{"lines", required_argument, nullptr, 'l'},
                            {"seconds", required_argument, nullptr, 's'},
                            {nullptr, 0, nullptr, 0}};
  uint64_t lines = 0;
  double seconds = 1;
  bool good = true;
  for (int got; (got = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    char* end = nullptr;
    if (got == 'l') lines = strtoull(optarg, &end, 10);
    if (got == 's') seconds = strtod(optarg, &end);
    good &= end != nullptr && end != optarg && *end == '\0';
  }
  if (!good || optind != argc || lines > kMostLines || !(seconds > 0)) {
    fputs("usage: ping_pong [--lines N] [--seconds S]\n", stderr);
    return kExitUsage;
  }
  void* mapped = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) {
    perror("ping_pong: no shared memory");
    return 1;
  }
  Shared& shared = *new (mapped) Shared;
  const pid_t other = fork();
  if (other == 0) answer(shared, lines);
  if (other < 0) {
    perror("ping_pong: no second process");
    return 1;
  }
  std::vector<double> round_trips;
  uint64_t number = 0;
  const double begin = now_ns();
  for (double from = begin; from < begin + seconds * 1e9;) {
    for (int turn = 0; turn < kBatch; ++turn) ask(shared, lines, ++number);
    const double until = now_ns();
    round_trips.push_back((until - from) / kBatch);
    from = until;
  }
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
  const auto middle = round_trips.begin() + static_cast<ptrdiff_t>(round_trips.size() / 2);
  std::nth_element(round_trips.begin(), middle, round_trips.end());
  printf("{\"lines\": %llu, \"nanoseconds\": %.1f, \"least\": %.1f}\n",
         static_cast<unsigned long long>(lines), *middle,
         *std::min_element(round_trips.begin(), round_trips.end()));
  return 0;
}
