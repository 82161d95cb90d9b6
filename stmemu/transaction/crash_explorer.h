// SPDX-License-Identifier: Apache-2.0
//
// For the tests of crashes: a stable memory over plain bytes, the list of all stores that reach its
// banks, and every image of the banks that a crash in the middle of such a list can leave behind.
//
// The idea. Stores are recorded with what stood there before, so an image is reached and left again
// by storing words, never by copying banks. Between two fences any subset of the 8-byte stores may
// have happened; a prefix is what a killed process leaves, the other subsets are what a disk may.
//
// A program that includes this is compiled, like the core inside it, with AUXIN_STORE_STEPS.
#pragma once

#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "stmemu/memory/object.h"
#include "stmemu/memory/physical_memory.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {

struct Step {
  int bank;  // -1: a fence
  uint64_t offset, value;
  uint64_t before = 0;  // what the word held
};

// Banks and board in this process's own memory, formatted, with a descriptor to start from. Its
// steps are recorded while recording() says so; one thread uses all of them.
class PlainMemory {
 public:
  PlainMemory(uint64_t bank_bytes, uint64_t seed);
  PlainMemory(const PlainMemory&) = delete;
  PlainMemory& operator=(const PlainMemory&) = delete;
  ~PlainMemory();

  PhysicalMemory& memory() { return memory_; }
  bool same_banks(const PlainMemory& other) const;
  // The board as the first who attaches makes it; without the time that takes.
  void renew_board();
  void forget_claims();

  // All steps since start_recording(), oldest first. Only one memory records at a time.
  void start_recording();
  void stop_recording();
  std::vector<Step>& steps() { return steps_; }

  void apply(const Step& step);  // recorded as well
  // Undoes and forgets the steps from `length` on.
  void roll_back_to(size_t length);

 private:
  friend void bank_step(int, uint64_t, uint64_t);
  uint64_t* word(int bank, uint64_t offset) const;

  char* whole_ = nullptr;
  uint64_t bank_bytes_;
  PhysicalMemory memory_;
  std::vector<Step> steps_;
  std::string fresh_board_;
};

// What objects should hold.
struct Expected {
  ObjectKind kind;
  std::string contents;

  bool operator==(const Expected&) const = default;
};
using Model = std::map<uint64_t, Expected>;  // by address

// A transaction, as recorded and as it should be.
struct Recorded {
  std::string what;
  Model before, after;  // equal if it was aborted
  std::vector<Step> steps;
};

class CrashExplorer {
 public:
  struct Limits {
    size_t prefixes = 40;         // of an epoch with more stores than that, so many at random
    size_t all_subsets_below = 7; // stores; of more: so many subsets of each sort:
    size_t subsets = 8;
    unsigned recoveries = 0;      // one in so many states has its recovery explored, too; 0: none
    int depth = 1;                // of crashes
  };

  CrashExplorer(PlainMemory& world, Limits limits, uint64_t seed)
      : world_(world), limits_(limits), random_(seed) {}

  // `world` is as it was before the transaction, and is so again. Empty, or what was wrong.
  std::string explore(const Recorded& transaction);

  uint64_t states() const { return states_; }
  uint64_t states_at(int depth) const { return states_at_[depth]; }

 private:
  enum Side : uint8_t { kBefore, kAfter, kNeither };
  struct Change {
    uint64_t address;
    const Expected* before;
    const Expected* after;
  };

  std::string explore_steps(const std::vector<Step>& steps, int depth, Side inherited);
  std::string explore_subsets(const std::vector<Step>& steps, const std::vector<bool>& marks,
                              size_t from, size_t to, int depth, Side inherited);
  std::string check_state(int depth, Side side);
  std::string judge(Side side);
  std::string judge_page_table(Side side);
  std::string use();
  std::string use_up();
  Side side_of_objects() const;
  bool is_mark(const Step& step) const;
  Side side_now(Side inherited) const;

  PlainMemory& world_;
  const Limits limits_;
  std::mt19937_64 random_;
  uint64_t states_ = 0, states_at_[8] = {};
  std::vector<Change> changes_;
  std::vector<std::pair<uint64_t, const Expected*>> unchanged_;
  const Recorded* transaction_ = nullptr;
  size_t marks_applied_ = 0;
};

// Whether the object at `address` is, in both banks alike, what is expected (null: no object). The
// checksums are left to recovery.
bool object_is(const PhysicalMemory& memory, uint64_t address, const Expected* expected);

}  // namespace auxin::stm
