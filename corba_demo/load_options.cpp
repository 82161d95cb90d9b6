// SPDX-License-Identifier: Apache-2.0
#include "load_options.h"

#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>

#include "call_log.h"

namespace bank {

const char kLoadUsage[] =
    "usage: bank_load ADDRESS --seconds S | --calls N [OPTION...] [-ORB...]\n"
    "Calls a bank from many clients, measures, and checks that every acknowledged call was done\n"
    "exactly once. Exit status: 0 no error and all as it must be, 1 not so, 2 wrong usage.\n"
    "  --clients N          client processes, one connection each (1)\n"
    "  --threads N          threads in each, which share its connection (1)\n"
    "  --seconds S          for how long\n"
    "  --calls N            how many calls, of all clients together\n"
    "  --mix M              deposit, ping, transfer, mixed, open or queue (deposit)\n"
    "  --rate R             calls a second, of all clients together; 0: no pauses (0)\n"
    "  --shared N           accounts that all clients use (4)\n"
    "  --seed N             chooses the calls (1)\n"
    "  --prefix TEXT        of the accounts' names; they must be new (load-PID)\n"
    "  --call-timeout-ms N  the ORB's time-out for one reply; 0: none (0)\n"
    "  --hang-seconds S     give up if nobody got an answer for so long (30)\n"
    "  --json FILE          write the report there, - for standard output\n"
    "  --kill-times-file F  lines of CLOCK_MONOTONIC ns at which a server was killed; read at the\n"
    "                       end, to report what clients saw of each\n"
    "  --progress           a line a second on standard error\n"
    "  --one-connection     it is an error if a client connects more than once\n";

namespace {

const std::map<std::string, Mix>& mixes() {
  static const std::map<std::string, Mix> table = {
      {"deposit", Mix::kDeposit}, {"ping", Mix::kPing}, {"transfer", Mix::kTransfer},
      {"mixed", Mix::kMixed},     {"open", Mix::kOpen}, {"queue", Mix::kQueue}};
  return table;
}

double number(const std::string& option, const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= 0)) {
    throw std::invalid_argument(option + ": " + text + " is not a number");
  }
  return value;
}

uint64_t whole_number(const std::string& option, const std::string& text) {
  char* end = nullptr;
  const uint64_t value = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || text[0] == '-') {
    throw std::invalid_argument(option + ": " + text + " is not a whole number");
  }
  return value;
}

void check(const LoadOptions& options) {
  const auto demand = [](bool condition, const char* what) {
    if (!condition) throw std::invalid_argument(what);
  };
  demand(!options.address.empty(), "no address");
  demand(options.duration_s > 0 || options.call_count > 0, "neither --seconds nor --calls");
  demand(options.client_count > 0 && options.threads_per_client > 0, "no clients");
  demand(options.thread_count() <= kMostThreads, "more than 4095 clients times threads");
  demand(options.hang_s > 0, "--hang-seconds must be above 0");
  demand(options.shared_account_count >= 2 && options.shared_account_count <= 255,
         "--shared must be 2 to 255");
}

}  // namespace

const char* name_of(Mix mix) {
  for (const auto& [name, value] : mixes()) {
    if (value == mix) return name.c_str();
  }
  return "?";
}

LoadOptions parse_load_options(int argc, char** argv) {
  LoadOptions options;
  options.prefix = "load-" + std::to_string(getpid());
  using Text = const std::string&;
  const std::map<std::string, std::function<void(Text)>> with_value = {
      {"--clients", [&](Text v) { options.client_count = whole_number("--clients", v); }},
      {"--threads", [&](Text v) { options.threads_per_client = whole_number("--threads", v); }},
      {"--seconds", [&](Text v) { options.duration_s = number("--seconds", v); }},
      {"--calls", [&](Text v) { options.call_count = whole_number("--calls", v); }},
      {"--rate", [&](Text v) { options.rate_per_s = number("--rate", v); }},
      {"--shared", [&](Text v) { options.shared_account_count = whole_number("--shared", v); }},
      {"--seed", [&](Text v) { options.seed = whole_number("--seed", v); }},
      {"--prefix", [&](Text v) { options.prefix = v; }},
      {"--call-timeout-ms",
       [&](Text v) { options.call_timeout_ms = whole_number("--call-timeout-ms", v); }},
      {"--hang-seconds", [&](Text v) { options.hang_s = number("--hang-seconds", v); }},
      {"--json", [&](Text v) { options.json_path = v; }},
      {"--kill-times-file", [&](Text v) { options.kill_times_path = v; }},
      {"--mix", [&](Text v) {
         const auto found = mixes().find(v);
         if (found == mixes().end()) throw std::invalid_argument("--mix: what is " + v + "?");
         options.mix = found->second;
       }}};
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto found = with_value.find(argument);
    if (argument == "--progress") {
      options.progress = true;
    } else if (argument == "--one-connection") {
      options.one_connection = true;
    } else if (found != with_value.end() || argument.rfind("-ORB", 0) == 0) {
      if (++i == argc) throw std::invalid_argument(argument + " needs a value");
      if (found != with_value.end()) {
        found->second(argv[i]);
      } else {
        options.orb_arguments.insert(options.orb_arguments.end(), {argument, argv[i]});
      }
    } else if (argument[0] != '-' && options.address.empty()) {
      options.address = argument;
    } else {
      throw std::invalid_argument("what is " + argument + "?");
    }
  }
  check(options);
  return options;
}

}  // namespace bank
