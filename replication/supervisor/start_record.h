// SPDX-License-Identifier: Apache-2.0
//
// start.json in a group's state directory: with what it was first started, so that a resumed or
// adopted group is started with the same again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stmemu/result.h"

namespace auxin::supervisor {

struct StartRecord {
  std::vector<std::string> server;
  std::string working_directory;
  std::string boot_id;        // stable memory does not outlive its host's run
  std::string ready_file;     // absolute; "": none
  std::vector<std::string> objects;  // whose own methods give their state; files are absolute
  std::string portable_file;  // absolute; "": in the directory
  uint32_t portable_every_s = 0;  // 0: only when asked for
  bool root_created = false;  // the root goes with the group

  // The same command line (bytes that are not UTF-8 are not told apart).
  bool same_server(const std::vector<std::string>& words) const;

  Result<bool> save(const std::string& directory) const;
  static Result<StartRecord> load(const std::string& directory);
};

// Of this run of the host.
std::string current_boot_id();

}  // namespace auxin::supervisor
