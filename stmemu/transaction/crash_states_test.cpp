// SPDX-License-Identifier: Apache-2.0
//
// Goal: wherever a crash cuts a transaction off, what it was to change is all as before or all as
// after it, nothing that was committed earlier is lost, and a crash is never taken for damage. The
// same if recovery itself is cut off, again and again.
// Method: random transactions of every sort over a small memory, all their stores recorded
// (crash_workload.h). From each list the banks are made as a crash leaves them: every prefix of the
// stores, and, of those that no fence separates, subsets (crash_explorer.h). Each image is
// recovered as a lone process would, judged against a model, recovered again with every object, and
// used.
// AUXIN_STATES says how many images; AUXIN_LONG=1 takes ten million.
#include <gtest/gtest.h>

#include <cstdio>

#include "stmemu/test_memory.h"
#include "stmemu/transaction/crash_explorer.h"
#include "stmemu/transaction/crash_workload.h"

namespace auxin::stm {
namespace {

constexpr uint64_t kBankBytes = 160 * kPageBytes;
constexpr uint64_t kTellEach = 250'000;  // states, on standard error

uint64_t states_wanted(uint64_t in_the_suite) {
  return environment_number(
      "AUXIN_STATES", environment_number("AUXIN_LONG", 0) != 0 ? 10'000'000 : in_the_suite);
}

void explore(CrashExplorer::Limits limits, uint64_t wanted) {
  std::mt19937_64 seeds(test_seed());
  uint64_t states = 0, transactions = 0, at_depth[8] = {}, told = 0;
  while (states < wanted) {
    // A history of its own now and then: a memory's first transactions are a sort of their own.
    const uint64_t memory_seed = seeds();
    PlainMemory world(kBankBytes, memory_seed), images(kBankBytes, memory_seed);
    CrashWorkload workload(world, seeds());
    CrashExplorer explorer(images, limits, seeds());
    std::vector<Step> unfenced;  // stores of earlier transactions that no fence has made last
    for (int count = 0; count < 60 && states + explorer.states() < wanted; ++count) {
      Recorded transaction = workload.next();
      ASSERT_EQ(workload.failure(), "");
      std::vector<Step>& steps = transaction.steps;
      steps.insert(steps.begin(), unfenced.begin(), unfenced.end());
      ASSERT_EQ(explorer.explore(transaction), "");
      images.start_recording();
      size_t behind_the_fence = 0;
      for (size_t at = 0; at < steps.size(); ++at) {
        if (steps[at].bank >= 0) {
          images.apply(steps[at]);
        } else {
          behind_the_fence = at + 1;
        }
      }
      ASSERT_TRUE(images.same_banks(world)) << "every store is recorded";
      unfenced.assign(steps.begin() + static_cast<ptrdiff_t>(behind_the_fence), steps.end());
      images.roll_back_to(images.steps().size() - unfenced.size());
      images.stop_recording();
      ++transactions;
    }
    states += explorer.states();
    if (states - told >= kTellEach) {
      told = states;
      fprintf(stderr, "%llu of %llu states after %llu transactions, none bad\n",
              static_cast<unsigned long long>(states), static_cast<unsigned long long>(wanted),
              static_cast<unsigned long long>(transactions));
    }
    for (int depth = 1; depth < 8; ++depth) at_depth[depth] += explorer.states_at(depth);
  }
  printf("%llu states after %llu transactions examined; by depth: %llu, %llu, %llu\n",
         static_cast<unsigned long long>(states), static_cast<unsigned long long>(transactions),
         static_cast<unsigned long long>(at_depth[1]),
         static_cast<unsigned long long>(at_depth[2]),
         static_cast<unsigned long long>(at_depth[3]));
}

TEST(CrashStatesTest, ATransactionIsWholeOrNotAtAllAfterACrashAnywhere) {
  explore({}, states_wanted(120'000));
}

TEST(CrashStatesTest, SoItIsIfItsRecoveryIsCutOffThreeTimes) {
  CrashExplorer::Limits limits;
  limits.prefixes = 10;
  limits.subsets = 2;
  limits.recoveries = 30;
  limits.depth = 4;
  explore(limits, states_wanted(80'000));
}

}  // namespace
}  // namespace auxin::stm
