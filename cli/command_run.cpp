// SPDX-License-Identifier: Apache-2.0
//
// auxin run: starts a group and supervises it in the foreground.
#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <optional>

#include "cli/command.h"
#include "checkpoint/portable/portable_image.h"
#include "cli/server_help.h"
#include "replication/supervisor/progress.h"
#include "replication/supervisor/sentence.h"
#include "replication/supervisor/state_directory.h"
#include "replication/supervisor/supervisor.h"

namespace auxin::cli {
namespace {

using supervisor::Configuration;
using supervisor::Progress;
using supervisor::StartMode;
using supervisor::Verbosity;

struct Options {
  std::optional<std::string> name, replicas, style, state_root, ready_file, config, state_from;
  bool resume = false, fresh = false, verbose = false, quiet = false;
};

Result<uint32_t> replica_count(const std::string& text) {
  uint32_t count = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, count);
  if (parsed.ec == std::errc() && parsed.ptr == end && count >= 1 &&
      count <= replication::kMaxReplicas) {
    return count;
  }
  return Error{fmt::format("--replicas must be from 1 to {}, not {}", replication::kMaxReplicas,
                           text)};
}

// Options over the file over the defaults.
Result<Configuration> configure(const Options& options, const std::vector<std::string>& server) {
  Configuration configuration;
  if (options.config) {
    auto loaded = supervisor::load_configuration(*options.config);
    if (!loaded) return Error{loaded.error()};
    configuration = *loaded;
  }
  if (options.replicas) {
    auto count = replica_count(*options.replicas);
    if (!count) return Error{count.error()};
    configuration.replicas = *count;
  }
  if (options.style && !supervisor::parse_style(*options.style, &configuration.style)) {
    return Error{fmt::format("unknown style '{}'; --style takes semi-active, warm-passive, "
                             "cold-passive or none",
                             *options.style)};
  }
  if (options.name) {
    if (!supervisor::valid_group_name(*options.name)) {
      return Error{fmt::format("'{}' can't be a group's name; use 1 to 63 characters out of A-Z "
                               "a-z 0-9 . _ -",
                               *options.name)};
    }
    configuration.name = *options.name;
  }
  if (options.state_root) configuration.state_root = *options.state_root;
  if (options.ready_file) configuration.ready_file = *options.ready_file;
  if (options.resume) configuration.start = StartMode::kResume;
  if (options.fresh) configuration.start = StartMode::kFresh;
  if (options.verbose) configuration.verbosity = Verbosity::kVerbose;
  if (options.quiet) configuration.verbosity = Verbosity::kQuiet;
  if (!server.empty()) configuration.server = server;
  return configuration;
}

int run(const Options& options, const std::vector<std::string>& server) {
  auto configuration = configure(options, server);
  if (!configuration) return refuse(configuration.error());

  supervisor::SupervisorOptions choices;
  if (options.state_from) {
    auto image = checkpoint::read_portable_image(*options.state_from);
    if (!image) {
      refuse(image.error());
      return kFailed;
    }
    choices.state = std::move(*image);
  }
  const supervisor::SupervisorSignals signals;
  auto group = supervisor::prepare_group(*configuration);
  if (!group) return refuse(group.error());
  if (choices.state && group->kind != supervisor::StartKind::kFresh)
    return refuse(fmt::format("group {} has a state already; --fresh gives it up",
                              group->memory.control().name));
  const Progress progress(configuration->verbosity, group->memory.control().name);
  if (!supervisor::is_on_tmpfs(group->directory.path())) {
    progress.event(fmt::format("{} is not on tmpfs: the log is written to a disk, which is slow",
                               group->directory.path()));
  }
  return supervisor::Supervisor(std::move(*group), signals, progress, std::move(choices)).run();
}

}  // namespace

void add_run_command(CLI::App& app, const std::vector<std::string>& server, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "run", "Start a group of replicas of a server and supervise it in the foreground");
  command->add_option("--name", options->name,
                      "The group's name (default: the server's file name)")
      ->type_name("NAME");
  command->add_option("--replicas", options->replicas, "How many replicas, 1 to 8 (default: 3)")
      ->type_name("N");
  command
      ->add_option("--style", options->style,
                   "semi-active (default), warm-passive, cold-passive, or none: one supervised "
                   "process")
      ->type_name("STYLE");
  command->add_option("--config", options->config, "A TOML file with further choices")
      ->type_name("FILE");
  command
      ->add_option("--state-dir", options->state_root,
                   "Where the groups keep their state, a directory NAME each")
      ->type_name("DIR");
  command
      ->add_option("--ready-file", options->ready_file,
                   "Appears, with the supervisor's pid, once all replicas serve or follow")
      ->type_name("FILE");
  auto* resume = command->add_flag("--resume", options->resume,
                                   "Go on with the state of a group that ended uncleanly");
  auto* fresh = command->add_flag("--fresh", options->fresh,
                                  "Give up the state of an earlier group of that name");
  resume->excludes(fresh);
  command
      ->add_option("--state-from", options->state_from,
                   "Give the server's objects the states of this portable image first")
      ->type_name("FILE")
      ->excludes(resume);
  auto* verbose = command->add_flag("--verbose", options->verbose, "Tell more on standard error");
  auto* quiet = command->add_flag("--quiet", options->quiet, "Tell errors only");
  verbose->excludes(quiet);
  command->formatter(std::make_shared<ServerHelp>("run"));
  command->footer(
      "{replica} in an ARG becomes the replica's number (0, 1, ...).\n"
      "The exit status is the server's, 128 + n if signal n ended it, and 2 if Auxin refused.");
  command->callback([=, &server] { *action = [=, &server] { return run(*options, server); }; });
}

}  // namespace auxin::cli
