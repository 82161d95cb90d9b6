// SPDX-License-Identifier: Apache-2.0
//
// For the tests of crashes: random transactions of every sort, recorded with what they should do.
//
// The sorts: objects made, changed, read and freed, small, large and of many pages; aborts;
// descriptors of the program's own, made, used and freed; lists of intents that go on in blocks;
// a memory so full that empty runs are given back.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "stmemu/transaction/activation.h"
#include "stmemu/transaction/crash_explorer.h"

namespace auxin::stm {

class CrashWorkload {
 public:
  CrashWorkload(PlainMemory& world, uint64_t seed);

  // Runs the next transaction.
  Recorded next();
  // The first operation that failed and should not have; empty: none.
  const std::string& failure() const { return failure_; }

 private:
  void mixed(int operations);
  void make(uint64_t size_bytes);
  void change(uint64_t address);
  void free_one(uint64_t address);
  void many(uint64_t count);
  void fill();
  void descriptors();
  uint64_t any_object();
  uint64_t any_size();
  void expect(Status status, const char* what);

  PlainMemory& world_;
  std::mt19937_64 random_;
  std::unique_ptr<Activation> activation_;
  Model model_, draft_;             // committed, and as the running transaction has it
  std::vector<uint64_t> programs_;  // descriptors of the program's own
  uint64_t own_descriptor_ = 0;     // the context's
  std::string failure_, what_;
  int number_ = 0;
};

}  // namespace auxin::stm
