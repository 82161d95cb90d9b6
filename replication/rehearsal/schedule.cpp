// SPDX-License-Identifier: Apache-2.0
#include "replication/rehearsal/schedule.h"

namespace auxin::replication {
namespace {

constexpr uint32_t kCallsOfARequest = 48;  // about: where change points lie

// splitmix64's finish: each bit of the result depends on each of the argument.
uint64_t mixed(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

uint64_t mixed(uint64_t a, uint64_t b) { return mixed(a * 0x9E3779B97F4A7C15ull + mixed(b + 1)); }

// 20 µs, half as often twice as much, and so on.
uint32_t heavy_tail_us(uint64_t random) {
  uint32_t sleep_us = 20;
  for (; (random & 1) != 0 && sleep_us < Schedule::kLongestSleepUs / 2; random >>= 1) sleep_us *= 2;
  return sleep_us;
}

}  // namespace

Schedule::Pause Schedule::before(uint64_t activity, uint32_t count, uint64_t site) const {
  const uint64_t own = mixed(seed_, activity);
  const uint64_t random = mixed(own, count);
  const uint64_t chance = random >> 32;
  Pause pause;
  switch (kind()) {
    case Kind::kSeldom:
      if (chance % 16 == 0) pause.sleep_us = heavy_tail_us(random & 0xffffffff);
      break;
    case Kind::kOften:
      if (chance % 4 == 0) pause.sleep_us = 5 + static_cast<uint32_t>(random % 75);
      break;
    case Kind::kClasses:
      if (own % 3 != 0) break;
      if (count == (own >> 8) % kCallsOfARequest || count == (own >> 24) % kCallsOfARequest) {
        pause.sleep_us = 500 + static_cast<uint32_t>((own >> 40) % 2500);
      }
      break;
    case Kind::kSites:
      if (mixed(seed_, site) % 8 == 0 && chance % 3 == 0) {
        pause.sleep_us = 50 + static_cast<uint32_t>(random % 750);
      }
      break;
    case Kind::kYields:
      pause.yield = chance % 2 == 0;
      if (chance % 48 == 1) pause.sleep_us = heavy_tail_us(random & 0xffffffff);
      break;
  }
  return pause;
}

}  // namespace auxin::replication
