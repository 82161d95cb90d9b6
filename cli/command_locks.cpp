// SPDX-License-Identifier: Apache-2.0
//
// auxin locks: how many synchronisation calls there were, and how many had to be ordered.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analysis/locks/cost.h"
#include "analysis/locks/lock_report.h"
#include "analysis/locks/lock_report_json.h"
#include "analysis/trace/reader.h"
#include "cli/command.h"
#include "cli/number_checks.h"
#include "cli/cost_report_text.h"
#include "cli/group_report.h"
#include "cli/lock_report_text.h"
#include "cli/pages/lock_page.h"
#include "cli/report_json.h"
#include "cli/report_text.h"
#include "cli/runs/live_recording.h"
#include "cli/runs/measured_run.h"
#include "cli/runs/recorded_run.h"
#include "cli/runs/run_messages.h"
#include "cli/runs/work_directory.h"
#include "cli/server_help.h"
#include "cli/unsupported_lines.h"
#include "cli/user_file.h"
#include "replication/supervisor/state_directory.h"

namespace auxin::cli {
namespace {

struct Options {
  std::optional<std::string> name, state_root, trace, record, html;
  std::optional<int> pid;
  std::vector<std::string> loads;
  std::vector<std::string> server;
  uint32_t warm_up = analysis::kDefaultWarmUp;
  size_t paths = 20;
  double seconds = 1;
  int ready_timeout_s = 60;
  bool json = false, measure = false;
  uint32_t rounds = 5;
};

int tell(const Options& options, const LockCounts& counts, const std::string& title) {
  return print(options.json ? dump(to_json(counts), 2) : to_text(counts, title));
}

// False: it can't be written, and a sentence was.
bool write_page(const Options& options, const analysis::LockReport& report,
                const analysis::CostReport* cost) {
  if (!options.html) return true;
  const auto error = write_file(*options.html, lock_page(report, cost), Readers::kOwner);
  if (error) complain(error->message);
  return !error;
}

// `cost`: null: it was not measured.
int tell(const Options& options, const analysis::Trace& trace, const analysis::CostReport* cost) {
  const std::string title = trace.command.empty() ? "recording" : trace.command;
  const analysis::LockReport report =
      analysis::make_lock_report(trace, title, options.warm_up);
  const std::vector<UnsupportedLine> unsupported = unsupported_lines(trace);
  if (!write_page(options, report, cost)) return kRefused;
  if (options.json) {
    Json json = analysis::to_json(report);
    add_unsupported(json, unsupported);
    json["cost"] = nullptr;
    if (cost != nullptr) json["cost"] = analysis::to_json(*cost);
    return print(dump(json, 2));
  }
  std::string text = to_text(report, options.paths);
  if (!unsupported.empty()) text += "\n" + to_text(unsupported);
  if (cost != nullptr) text += "\n" + to_text(*cost);
  return print(text);
}

int tell_trace(const Options& options, const std::string& path,
               const analysis::CostReport* cost = nullptr) {
  auto trace = analysis::read_trace(path);
  if (!trace) return refuse(trace.error());
  return tell(options, *trace, cost);
}

void tell_rounds(uint32_t done, uint32_t all) {
  if (isatty(STDERR_FILENO) != 0) complain(fmt::format("measured {} of {} runs", done, all));
}

// One run of the server as a group of one replica, recorded.
int locks_of_run(const Options& options) {
  const InterruptNotice notice;
  auto work = WorkDirectory::make();
  if (!work) return refuse(work.error());
  ServerPlan server;
  server.kind = RunKind::kGroup;
  server.server = options.server;
  server.loads = options.loads;
  server.ready_timeout_s = options.ready_timeout_s;
  const ServerPlan measured = server;
  RecordingPlan recording;
  recording.trace_path = options.record.value_or(work->path() + "/trace");
  recording.progress = tell_progress;
  auto run = record_server(std::move(server), recording);
  if (!run) return refuse(run.error());
  if (!run->failure.empty()) complain(run->failure + "; what was recorded until then follows");
  bool good = tell_failures(options.loads, run->run) && run->failure.empty();
  std::optional<analysis::CostReport> cost;
  if (options.measure && good && !run->run.interrupted) {
    auto rounds = measure_forms(measured, options.rounds, tell_rounds);
    if (rounds) {
      cost = analysis::summarise(*rounds);
    } else {
      complain(rounds.error());
      good = false;
    }
  }
  const int told = tell_trace(options, recording.trace_path, cost ? &*cost : nullptr);
  if (told != kDone) return told;
  return good ? kDone : kFailed;
}

// A running group: what its leaders have counted so far, and its leader watched for a while.
int locks_of_group(const Options& options, const std::string& directory) {
  auto report = read_group(directory);
  if (!report) return refuse(report.error());
  Json json = to_json(report->locks);
  std::string text = to_text(report->locks, report->name);
  if (options.seconds > 0) {
    const InterruptNotice notice;
    auto work = WorkDirectory::make();
    if (!work) return refuse(work.error());
    const std::string path = options.record.value_or(work->path() + "/trace");
    auto events = record_group(directory, options.seconds, path);
    auto trace = events ? analysis::read_trace(path) : Result<analysis::Trace>(Error{});
    json["observed"] = nullptr;
    if (events && trace) {
      const analysis::LockReport watched = analysis::make_lock_report(
          *trace, fmt::format("{}, watched for {:g} s", report->name, options.seconds),
          options.warm_up);
      if (!write_page(options, watched, nullptr)) return kRefused;
      json["observed"] = analysis::to_json(watched);
      text += "\n" + to_text(watched, options.paths);
    } else {
      const std::string why = events ? trace.error() : events.error();
      if (options.html) return refuse(*options.html + ": not written: " + why);
      json["not_observed"] = why;
      text += fmt::format("\n  counted only, not watched: {}\n", why);
    }
  }
  return print(options.json ? dump(json, 2) : text);
}

int locks(const Options& options) {
  if (options.html) {
    const bool watched = options.name && options.seconds > 0;
    if (options.pid || (options.server.empty() && !options.trace && !watched)) {
      return refuse("--html needs a recording: the NAME of a group that is watched, --trace FILE, "
                    "or a server behind --");
    }
    if (auto error = why_not_writable(*options.html)) return refuse(error->message);
  }
  if (!options.server.empty() || options.trace) {
    if (options.name || options.pid || (options.trace && !options.server.empty())) {
      return refuse("give one of NAME, --pid, --trace and -- SERVER");
    }
    if (options.measure && (options.trace || options.loads.empty())) {
      return refuse("--measure needs a server and a load that ends by itself: "
                    "auxin locks --measure --load 'COMMAND' -- SERVER ARG");
    }
    return options.trace ? tell_trace(options, *options.trace) : locks_of_run(options);
  }
  if (options.measure) {
    return refuse("--measure needs a server: auxin locks --measure --load 'COMMAND' -- SERVER");
  }
  if (!options.loads.empty()) {
    return refuse("--load needs a server: auxin locks --load 'COMMAND' -- SERVER ARG");
  }
  if (options.record && !options.name) {
    return refuse("--record needs the NAME of a group, or a server behind --");
  }
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
    return locks_of_group(options, directory);
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

void add_locks_command(CLI::App& app, const std::vector<std::string>& server, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "locks", "Count the synchronisation calls: all, intercepted, ordered");
  command->add_option("NAME", options->name, "The group (default: all)");
  command->add_flag("--json", options->json,
                    "As JSON: an object for one group or run, an array for all groups");
  command->add_option("--pid", options->pid, "A process that runs with libauxin.so preloaded")
      ->type_name("PID");
  command
      ->add_option("--for", options->seconds,
                   "How long to watch the leader of the group NAME; 0: only tell what was counted "
                   "(default: 1)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, double{kMostSeconds}));
  command->add_option("--trace", options->trace, "A recording, as --record keeps it")
      ->type_name("FILE");
  command
      ->add_option("--load", options->loads,
                   "A shell line, started when the server is ready; may be given several times")
      ->type_name("COMMAND")
      ->allow_extra_args(false);
  command->add_option("--record", options->record, "Keep the recording")
      ->type_name("FILE");
  command->add_option("--html", options->html, "Also write a page to look at and work with")
      ->type_name("FILE");
  command->add_flag("--measure", options->measure,
                    "Also run server and loads natively, preloaded, multi-level, and with every "
                    "lock ordered, and tell throughput and latency");
  command->add_option("--rounds", options->rounds, "How often to run each of these (default: 5)")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  command
      ->add_option("--warm-up", options->warm_up,
                   "The first requests of each thread that count as warm-up (default: 3)")
      ->type_name("N")
      ->check(whole_number());
  command
      ->add_option("--paths", options->paths,
                   "How many call paths to list; 0: all (default: 20)")
      ->type_name("N")
      ->check(whole_number());
  command
      ->add_option("--ready-timeout", options->ready_timeout_s,
                   "Seconds that the server may take until it listens (default: 60)")
      ->type_name("S")
      ->check(CLI::Range(1, kMostSeconds));
  command
      ->add_option("--state-dir", options->state_root,
                   "Where the groups keep their state (default: where they are found)")
      ->type_name("DIR");
  command->formatter(std::make_shared<ServerHelp>("locks"));
  command->footer(
      "Words after -- are a server that is run once, as a group of one replica, and recorded.\n"
      "Without --load it runs until it ends, or until Ctrl-C.");
  command->callback([=, &server] {
    *action = [=, &server] {
      options->server = server;
      return locks(*options);
    };
  });
}

}  // namespace auxin::cli
