// SPDX-License-Identifier: Apache-2.0
//
// What bank_load was asked to do. Plain data; parsed once, before the first fork.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bank {

enum class Mix { kDeposit, kPing, kTransfer, kMixed, kOpen, kQueue };

struct LoadOptions {
  std::string address;
  unsigned client_count = 1;           // processes; each has a connection of its own
  unsigned threads_per_client = 1;     // more than one share their client's connection
  double duration_s = 0;               // 0: until `call_count` calls are done
  uint64_t call_count = 0;             // of all clients together; 0: until `duration_s` is over
  Mix mix = Mix::kDeposit;
  double rate_per_s = 0;               // of all clients together; 0: as fast as answers come
  unsigned shared_account_count = 4;
  uint64_t seed = 1;
  uint32_t call_timeout_ms = 0;        // the ORB's own time-out; 0: none
  double hang_s = 30;                  // no answer to anybody for so long: give up
  std::string prefix;                  // of the accounts' names
  std::string json_path;
  std::string kill_times_path;
  bool progress = false;
  bool one_connection = false;
  std::vector<std::string> orb_arguments;

  unsigned thread_count() const { return client_count * threads_per_client; }
};

extern const char kLoadUsage[];
const char* name_of(Mix mix);

// Throws std::invalid_argument with what is wrong.
LoadOptions parse_load_options(int argc, char** argv);

}  // namespace bank
