// SPDX-License-Identifier: Apache-2.0
//
// auxin locks: how many synchronisation calls there were, and how many had to be ordered.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "cli/command.h"
#include "cli/group_report.h"
#include "cli/report_json.h"
#include "cli/report_text.h"
#include "replication/supervisor/state_directory.h"

namespace auxin::cli {
namespace {

struct Options {
  std::optional<std::string> name, state_root;
  std::optional<int> pid;
  bool json = false;
};

int tell(const Options& options, const LockCounts& counts, const std::string& title) {
  return print(options.json ? dump(to_json(counts), 2) : to_text(counts, title));
}

int locks(const Options& options) {
  if (options.pid) {
    if (options.name) return refuse("give a NAME or --pid, not both");
    auto counts = count_locks_of_process(*options.pid);
    if (!counts) return refuse(counts.error());
    return tell(options, *counts, fmt::format("process {}", *options.pid));
  }
  const std::string root = options.state_root.value_or("");
  if (options.name) {
    const std::string directory = supervisor::find_group(root, *options.name);
    if (directory.empty()) {
      return refuse(fmt::format("there is no group {}; `auxin status` lists those there are",
                                *options.name));
    }
    auto report = read_group(directory);
    if (!report) return refuse(report.error());
    return tell(options, report->locks, report->name);
  }
  Json list = Json::array();
  std::string text;
  for (const std::string& directory : supervisor::list_groups(root)) {
    auto report = read_group(directory);
    if (!report) continue;  // `auxin status` tells what is wrong with it
    Json entry = to_json(report->locks);
    entry["name"] = report->name;
    list.push_back(std::move(entry));
    text += (text.empty() ? "" : "\n") + to_text(report->locks, report->name);
  }
  if (options.json) return print(dump(list, 2));
  return print(text.empty() ? "no groups\n" : text);
}

}  // namespace

void add_locks_command(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "locks", "Count the synchronisation calls: all, intercepted, ordered");
  command->add_option("NAME", options->name, "The group (default: all)");
  command->add_flag("--json", options->json, "As JSON: an object for a NAME, an array without");
  command->add_option("--pid", options->pid, "A process that runs with libauxin.so preloaded")
      ->type_name("PID");
  command
      ->add_option("--state-dir", options->state_root,
                   "Where the groups keep their state (default: where they are found)")
      ->type_name("DIR");
  command->callback([=] { *action = [=] { return locks(*options); }; });
}

}  // namespace auxin::cli
