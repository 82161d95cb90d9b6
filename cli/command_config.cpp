// SPDX-License-Identifier: Apache-2.0
//
// auxin config: checks a configuration file, or prints one with every key and its default.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "cli/command.h"
#include "replication/supervisor/configuration.h"

namespace auxin::cli {
namespace {

struct Options {
  std::optional<std::string> check;
  bool print_defaults = false;
};

int config(const Options& options) {
  if (options.check) {
    auto loaded = supervisor::load_configuration(*options.check);
    if (!loaded) return refuse(loaded.error());
    return kDone;
  }
  if (options.print_defaults) return print(supervisor::default_configuration_text());
  return refuse("say what to do: auxin config --check FILE, or auxin config --print-defaults");
}

}  // namespace

void add_config_command(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("config", "Check a configuration file, or print one with all defaults");
  auto* check = command
                    ->add_option("--check", options->check,
                                 "Say what is wrong with the file, if anything is")
                    ->type_name("FILE");
  auto* defaults = command->add_flag("--print-defaults", options->print_defaults,
                                     "Print a file with every key, its meaning and its default");
  check->excludes(defaults);
  command->callback([=] { *action = [=] { return config(*options); }; });
}

}  // namespace auxin::cli
