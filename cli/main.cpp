// SPDX-License-Identifier: Apache-2.0
//
// auxin: runs groups of replicas, tells how they are and ends them. docs/man/auxin.1.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <sstream>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/standard_streams.h"

namespace {

// CLI11's words on a usage error, as one line.
std::string sentence_of(const CLI::ParseError& error) {
  std::string text = error.what();
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (!text.empty() && (text.back() == ' ' || text.back() == '.')) text.pop_back();
  return text + "; see `auxin --help`";
}

}  // namespace

int main(int argc, char** argv) {
  using namespace auxin::cli;
  keep_standard_numbers();

  // The server's words are not ours to parse.
  std::vector<std::string> words(argv + 1, argv + argc);
  const auto divider = std::find(words.begin(), words.end(), "--");
  std::vector<std::string> server;
  if (divider != words.end()) server.assign(divider + 1, words.end());
  words.erase(divider, words.end());
  std::reverse(words.begin(), words.end());  // as CLI11 takes them

  CLI::App app{"Auxin replicates an unchanged CORBA server on this host.", "auxin"};
  app.set_version_flag("--version", "auxin " AUXIN_VERSION, "Print the version and exit");
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.require_subcommand(1);
  Action action;
  add_run_command(app, server, &action);
  add_status_command(app, &action);
  add_locks_command(app, server, &action);
  add_discover_command(app, server, &action);
  add_verify_command(app, server, &action);
  add_checkpoint_commands(app, &action);
  add_switch_commands(app, &action);
  add_checkpoint_server_command(app, &action);
  add_stop_command(app, &action);
  add_config_command(app, &action);
  add_stm_command(app, &action);
  app.footer("`auxin COMMAND --help` tells more about a command; so does the page auxin(1).");

  try {
    app.parse(words);
    const bool takes_server = app.got_subcommand("run") || app.got_subcommand("locks") ||
                              app.got_subcommand("discover") || app.got_subcommand("verify");
    if (!server.empty() && !takes_server) {
      return refuse("only `auxin run`, `auxin locks`, `auxin discover` and `auxin verify` take "
                    "words after --; see `auxin --help`");
    }
    return action();
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
      std::ostringstream asked;  // --help, --version
      app.exit(error, asked, asked);
      return print(asked.str());
    }
    return refuse(sentence_of(error));
  } catch (const std::exception& error) {
    return refuse(fmt::format("{}", error.what()));
  }
}
