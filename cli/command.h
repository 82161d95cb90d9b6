// SPDX-License-Identifier: Apache-2.0
//
// The commands of `auxin`: each adds itself to the parser and is run if it was called.
//
// Thread safety: one thread.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <string>
#include <vector>

namespace auxin::cli {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kRefused = 2;  // usage errors and refusals: one sentence was written

// What a called command does; its result is the exit status.
using Action = std::function<int()>;

// `server`: the words behind `--`.
void add_run_command(CLI::App& app, const std::vector<std::string>& server, Action* action);
void add_locks_command(CLI::App& app, const std::vector<std::string>& server, Action* action);
void add_discover_command(CLI::App& app, const std::vector<std::string>& server, Action* action);
void add_verify_command(CLI::App& app, const std::vector<std::string>& server, Action* action);
void add_status_command(CLI::App& app, Action* action);
void add_checkpoint_commands(CLI::App& app, Action* action);
void add_switch_commands(CLI::App& app, Action* action);
void add_checkpoint_server_command(CLI::App& app, Action* action);
void add_stop_command(CLI::App& app, Action* action);
void add_config_command(CLI::App& app, Action* action);
void add_stm_command(CLI::App& app, Action* action);

// Writes "auxin: SENTENCE" to standard error and returns kRefused.
int refuse(const std::string& sentence);

// Writes to standard output; kFailed (and a sentence) if that can't be done.
int print(const std::string& text);

}  // namespace auxin::cli
