// SPDX-License-Identifier: Apache-2.0
//
// auxin verify: whether the ordered locks are enough, which of them are needed, whether the set is
// closed, and whether the server is sound below them.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/number_checks.h"
#include "cli/report_json.h"
#include "cli/runs/run_messages.h"
#include "cli/runs/server_run.h"
#include "cli/server_help.h"
#include "cli/verify/kept_failure.h"
#include "cli/verify/verification.h"

namespace auxin::cli {
namespace {

struct Options {
  VerifyPlan plan;
  std::optional<std::string> replay;
  std::optional<uint64_t> per_run;
  bool json = false, no_minimal = false, quiet = false;
};

int default_jobs() {
  const int processors = static_cast<int>(std::thread::hardware_concurrency());
  return std::clamp(2 * processors, 1, kMostRehearsalsAtOnce);  // they sleep most of the time
}

// "BASE:SEED".
bool parse_schedule(const std::string& text, uint64_t* base, uint64_t* seed) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return false;
  const auto number = [](std::string_view digits, uint64_t* value) {
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), *value);
    return parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size();
  };
  const std::string_view view = text;
  return number(view.substr(0, colon), base) && number(view.substr(colon + 1), seed);
}

int tell(const Options& options, const VerifyReport& report) {
  const int told = print(options.json ? dump(to_json(report), 2) : to_text(report));
  if (told != kDone) return told;
  return report.fine() ? kDone : kFailed;
}

// What overlaps in one base run need not in another: a few schedules are shared out too, but no
// fewer to each than run side by side.
uint64_t shared_out(const VerifyPlan& plan) {
  return std::clamp<uint64_t>(plan.schedules / 4, static_cast<uint64_t>(plan.jobs),
                              kMostSchedulesPerBase);
}

int verify(Options options) {
  VerifyPlan& plan = options.plan;
  plan.schedules_per_base = options.per_run.value_or(shared_out(plan));
  plan.minimal = !options.no_minimal;
  plan.mute = options.quiet;
  if (!options.quiet) plan.progress = complain;
  const InterruptNotice notice;
  if (options.replay && plan.server.empty()) {
    auto report = replay_kept(*options.replay, plan);
    return report ? tell(options, *report) : refuse(report.error());
  }
  if (plan.server.empty()) {
    return refuse("no server given; say which program to verify: auxin verify --load 'COMMAND' -- "
                  "SERVER [ARG…]");
  }
  if (plan.loads.empty()) {
    return refuse("no load given; say with --load 'COMMAND' what calls the server");
  }
  if (options.replay) {
    uint64_t base = 0, seed = 0;
    if (!parse_schedule(*options.replay, &base, &seed)) {
      return refuse(fmt::format("'{}' is no schedule; give one as a report names it (BASE:SEED), "
                                "or a directory that --keep made, without a server",
                                *options.replay));
    }
    plan.only_base = base;
    plan.only_seed = seed;
  }
  if (auto ready = prepare_kept_failure(plan.keep); !ready) return refuse(ready.error());
  auto report = verify_server(plan);
  if (!plan.keep.empty()) rmdir(plan.keep.c_str());  // if nothing was kept in it
  return report ? tell(options, *report) : refuse(report.error());
}

}  // namespace

void add_verify_command(CLI::App& app, const std::vector<std::string>& server, Action* action) {
  auto options = std::make_shared<Options>();
  VerifyPlan& plan = options->plan;
  plan.jobs = default_jobs();
  CLI::App* command = app.add_subcommand(
      "verify", "Prove that the ordered locks are enough, needed and closed");
  command
      ->add_option("--load", plan.loads,
                   "A shell line, started when the server is ready; may be given several times")
      ->type_name("COMMAND")
      ->allow_extra_args(false);
  command
      ->add_option("--state", plan.state_load,
                   "A shell line that runs alone after the loads, and reads the state")
      ->type_name("COMMAND");
  command
      ->add_option("--schedules", plan.schedules,
                   "How many to try, and at most so many without each lock (default: 100)")
      ->type_name("N")
      ->check(CLI::Range(uint64_t{1}, kMostTurns));
  command
      ->add_option("--per-run", options->per_run,
                   "How many of them on the log of one base run (default: a quarter, at most "
                   "25)")
      ->type_name("N")
      ->check(CLI::Range(uint64_t{1}, kMostTurns));
  command->add_option("--seed", plan.seed, "Of the first base run and schedule (default: 1)")
      ->type_name("S")
      ->check(whole_number());
  command
      ->add_option("--jobs", plan.jobs,
                   fmt::format("How many rehearsals run side by side, 1 to {} (default: twice the "
                               "processors)",
                               kMostRehearsalsAtOnce))
      ->type_name("J")
      ->check(CLI::Range(1, kMostRehearsalsAtOnce));
  command
      ->add_option("--stall", plan.stall_s,
                   "Seconds after which a replica that does not move stands still (default: 3)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, double{kMostSeconds}));
  command->add_flag("--no-minimal", options->no_minimal, "Do not try without each lock");
  command->add_option("--keep", plan.keep, "Keep the first failure there, to be replayed")
      ->type_name("DIR");
  command
      ->add_option("--replay", options->replay,
                   "A schedule that failed, as reported (with the server and its loads); or a "
                   "directory that --keep made (without)")
      ->type_name("BASE:SEED|DIR");
  command
      ->add_option("--config", plan.configuration,
                   "A configuration of the group, for its log and environment (see auxin config)")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command
      ->add_option("--ready-timeout", plan.ready_timeout_s,
                   "Seconds that the server may take until it listens (default: 60)")
      ->type_name("S")
      ->check(CLI::Range(1, kMostSeconds));
  command->add_flag("--json", options->json, "As JSON");
  command->add_flag("--quiet", options->quiet,
                    "Say nothing on the way, and let server and loads print nothing");
  command->formatter(std::make_shared<ServerHelp>("verify"));
  command->footer(
      "Exit status: 0 fine, 1 something was found, 2 it could not be tried.\n"
      "Words after -- are the server; {replica} in them is each replica's own number, the base\n"
      "runs' leader has 0.");
  command->callback([=, &server] {
    *action = [=, &server] {
      options->plan.server = server;
      return verify(*options);
    };
  });
}

}  // namespace auxin::cli
