// SPDX-License-Identifier: Apache-2.0
//
// What a user may choose for a group: the options of `auxin run` and the keys of its TOML file.
//
// The file can hold everything the options hold; options win. default_configuration_text() is the
// file's reference: every key with its default, and it passes the check itself.
//
// Thread safety: none needed; read once at start.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/tracking/tracking_method.h"
#include "replication/group_state.h"
#include "stmemu/result.h"

namespace auxin::supervisor {

enum class StartMode { kAuto, kResume, kFresh };
enum class Verbosity { kQuiet, kNormal, kVerbose };

struct Configuration {
  std::string name;                    // "": the server's file name
  uint32_t replicas = 3;
  replication::Style style = replication::Style::kSemiActive;
  std::string state_root;              // directory of the groups' directories; "": the default
  std::string ready_file;              // "": none
  std::vector<std::string> server;     // program and arguments
  StartMode start = StartMode::kAuto;
  Verbosity verbosity = Verbosity::kNormal;

  uint64_t log_entries = 0;            // 0: the default, as far as there is room for it
  uint64_t log_payload_bytes = 0;

  uint32_t spin_ns = 2000;
  uint32_t follower_poll_us = 1000;
  uint32_t lag_bound_entries = 4096;
  uint32_t stall_ms = 100;
  bool follower_one_cpu = true;
  uint32_t hang_ms = 2000;
  uint32_t checkpoint_every_s = 0;     // 0: not for this reason; as the next two
  uint32_t checkpoint_every_requests = 0;
  uint32_t checkpoint_log_percent = 25;
  uint32_t checkpoint_deltas = 16;
  checkpoint::TrackingMethod checkpoint_method = checkpoint::TrackingMethod::kAutomatic;
  std::vector<std::string> objects;    // references of those whose own methods give their state
  std::string portable_file;           // "": in the group's directory
  uint32_t portable_every_s = 0;       // 0: only when asked for
  bool order_every_lock = false;       // as a single-level system must; one replica only
  replication::Compare compare = replication::Compare::kBytes;
  std::string map_directory;           // "": where the maps were installed
  std::string meta_object;             // "": none

  // Variables of the replicas' environment, ORB parameters among them.
  std::map<std::string, std::string> environment;
};

// Reads the file. An error is one sentence with file and line.
Result<Configuration> load_configuration(const std::string& path);

// Every key, its meaning and default, as TOML.
std::string default_configuration_text();

// Bytes from "1GiB", "512 MiB", "4096"; false if it is none.
bool parse_size(const std::string& text, uint64_t* bytes);

// [A-Za-z0-9._-]{1,63}, and no name that a directory gives a meaning to.
bool valid_group_name(const std::string& name);

// False: no such style (or comparison).
bool parse_style(const std::string& text, replication::Style* style);
const char* style_name(replication::Style style);

}  // namespace auxin::supervisor
