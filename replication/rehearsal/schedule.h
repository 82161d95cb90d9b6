// SPDX-License-Identifier: Apache-2.0
//
// An adversarial schedule: which calls of which activities are held up, and for how long.
//
// Every choice is a pure function of (seed, activity, the how-many-th call of that activity), so
// the same seed holds up the same calls again, whatever else happens. Schedules of one kind would
// find one kind of fault, so seeds take turns:
//
//   kSeldom    few calls, some of them for very long (a heavy tail): far swaps
//   kOften     many calls, each for a moment: near swaps
//   kClasses   each activity is slow or fast, and the slow ones stop once or twice for long, at
//              places of their own (the change points of probabilistic concurrency testing)
//   kSites     some places in the code are slow, for everybody who passes
//   kYields    the processor is given away all the time
//
// Source: the change points are those of Burckhardt et al., "A Randomized Scheduler with
// Probabilistic Guarantees of Finding Bugs" (2010), with delays in the place of priorities.
//
// Thread safety: a value.
#pragma once

#include <cstdint>

namespace auxin::replication {

class Schedule {
 public:
  enum class Kind : uint8_t { kSeldom, kOften, kClasses, kSites, kYields };
  static constexpr uint64_t kKinds = 5;

  explicit constexpr Schedule(uint64_t seed) : seed_(seed) {}

  Kind kind() const { return static_cast<Kind>(seed_ % kKinds); }

  struct Pause {
    bool yield = false;
    uint32_t sleep_us = 0;
  };
  // Before the call number `count` (from 0) of the activity, which is made at `site`.
  Pause before(uint64_t activity, uint32_t count, uint64_t site) const;

  static constexpr uint32_t kLongestSleepUs = 6000;

 private:
  uint64_t seed_;
};

}  // namespace auxin::replication
