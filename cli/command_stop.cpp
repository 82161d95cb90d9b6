// SPDX-License-Identifier: Apache-2.0
//
// auxin stop: ends a group, also one without a supervisor, and removes its state.
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>

#include <memory>
#include <optional>

#include "cli/command.h"
#include "replication/supervisor/processes.h"
#include "replication/supervisor/sentence.h"
#include "replication/supervisor/state_directory.h"
#include "replication/supervisor/supervisor.h"

namespace auxin::cli {
namespace {

using supervisor::StateDirectory;

constexpr double kDefaultTimeoutS = 10;

struct Options {
  std::string name;
  std::optional<std::string> state_root;
  double timeout_s = kDefaultTimeoutS;
};

// The pid of the living supervisor and a descriptor for it; an invalid one: it is gone.
struct LivingSupervisor {
  int pid = 0;
  supervisor::Descriptor process;
};

LivingSupervisor supervisor_of(const std::string& directory) {
  LivingSupervisor found;
  auto memory = supervisor::GroupMemory::open(directory + "/" + supervisor::kMemoryFile, true);
  if (!memory) return found;
  found.pid = memory->control().supervisor_pid.load();
  if (found.pid <= 0) return found;
  found.process = supervisor::open_process(found.pid);
  // Only now, with the process held, is it certain whom a signal will reach.
  if (!memory->control().supervisor.seems_held()) found.process.reset();
  return found;
}

enum class Asked { kEnded, kGone, kTooSlow };

// Asks a living supervisor to end the group in an orderly way.
Asked ask_supervisor(const std::string& directory, int timeout_ms) {
  const LivingSupervisor living = supervisor_of(directory);
  if (!living.process.valid()) return Asked::kGone;
  supervisor::signal_process(living.process, SIGTERM);
  pollfd ended = {living.process.get(), POLLIN, 0};
  if (poll(&ended, 1, timeout_ms) > 0) return Asked::kEnded;
  // It, or its server, does not react: without a supervisor the group can be killed.
  supervisor::signal_process(living.process, SIGKILL);
  poll(&ended, 1, timeout_ms);
  return Asked::kTooSlow;
}

// Ends what no supervisor looks after: orderly if something runs, else by removing what is left.
int end_orphan(StateDirectory directory, const std::string& name, int64_t timeout_ms) {
  const std::string memory_path = directory.memory_path();
  const supervisor::SupervisorSignals signals;
  const bool runs = supervisor::replicas_live(supervisor::members_of(memory_path));
  auto opened = supervisor::GroupMemory::open(memory_path, true);
  if (!runs || !opened) {
    supervisor::kill_members(memory_path);
    bool with_root = false;
    if (auto record = supervisor::StartRecord::load(directory.path())) {
      with_root = record->root_created;
      supervisor::ReadyFile(record->ready_file).remove();
    }
    directory.remove(with_root);
    return kDone;
  }
  auto group = supervisor::take_over_orphan(std::move(directory));
  if (!group) return refuse(group.error());
  const supervisor::Progress progress(supervisor::Verbosity::kQuiet, name);
  supervisor::SupervisorOptions options;
  options.end_at_once = true;
  options.kill_after_ms = timeout_ms;
  supervisor::Supervisor(std::move(*group), signals, progress, options).run();
  return kDone;
}

int stop(const Options& options) {
  const std::string unknown =
      fmt::format("there is no group {}; `auxin status` lists those there are", options.name);
  if (!supervisor::valid_group_name(options.name)) return refuse(unknown);
  const auto timeout_ms = static_cast<int>(options.timeout_s * 1000);
  std::string root = options.state_root.value_or("");
  const std::string directory = supervisor::find_group(root, options.name);
  if (directory.empty()) return refuse(unknown);
  root = directory.substr(0, directory.rfind('/'));

  bool asked = false;
  int64_t patience_ms = timeout_ms;
  for (;;) {
    auto claimed = StateDirectory::claim(root, options.name, false);
    switch (claimed.outcome) {
      case StateDirectory::Claim::kClaimed:
        return end_orphan(std::move(claimed.directory), options.name, patience_ms);
      case StateDirectory::Claim::kAbsent:
        return asked ? kDone : refuse(unknown);
      case StateDirectory::Claim::kRefused:
        return refuse(claimed.message);
      case StateDirectory::Claim::kBusy: {
        asked = true;
        switch (ask_supervisor(directory, timeout_ms)) {
          case Asked::kEnded: break;
          case Asked::kTooSlow: patience_ms = 0; break;
          case Asked::kGone: poll(nullptr, 0, 10); break;  // it starts or ends just now
        }
        break;
      }
    }
  }
}

}  // namespace

void add_stop_command(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("stop", "End a group, also one without a supervisor, and its state");
  command->add_option("NAME", options->name, "The group")->required();
  command
      ->add_option("--timeout", options->timeout_s,
                   "How long the server may take to end before it is killed (default: 10)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 86400.0));
  command
      ->add_option("--state-dir", options->state_root,
                   "Where the groups keep their state (default: where they are found)")
      ->type_name("DIR");
  command->callback([=] { *action = [=] { return stop(*options); }; });
}

}  // namespace auxin::cli
