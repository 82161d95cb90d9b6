// SPDX-License-Identifier: Apache-2.0
//
// `auxin config`, `auxin --help` and the manual page say the same as the command does.
#include <set>

#include "cli/tests/command_run.h"

namespace auxin::cli {
namespace {

class Config : public CommandTest {};
class Manual : public CommandTest {
 protected:
  // All words of the text that look like long options.
  static std::set<std::string> options_in(std::string text) {
    // The page writes each hyphen as \-.
    for (size_t at; (at = text.find("\\-")) != std::string::npos;) text.erase(at, 1);
    std::set<std::string> options;
    for (size_t at = 0; (at = text.find("--", at)) != std::string::npos;) {
      size_t end = at + 2;
      while (end < text.size() && (islower(text[end]) || text[end] == '-')) ++end;
      if (end > at + 3 && (at == 0 || text[at - 1] != '-')) {
        options.insert(text.substr(at, end - at));
      }
      at = end;
    }
    return options;
  }
};

TEST_F(Config, PrintedDefaultsPassTheCheck) {
  const Done defaults = auxin_done({"config", "--print-defaults"});
  EXPECT_EQ(defaults.status, 0);
  EXPECT_NE(defaults.output.find("replicas = 3"), std::string::npos);
  write_file(path("defaults.toml"), defaults.output);
  const Done check = auxin_done({"config", "--check", path("defaults.toml")});
  EXPECT_EQ(check.status, 0) << check.errors;
  EXPECT_EQ(check.errors, "");
}

TEST_F(Config, CheckNamesTheLineAndTheKey) {
  write_file(path("bad.toml"), "[follower]\nspin_ns = 10\nstall_ms = \"soon\"\n");
  const Done bad = auxin_done({"config", "--check", path("bad.toml")});
  EXPECT_EQ(bad.status, 2);
  EXPECT_NE(bad.errors.find(path("bad.toml") + ":3: 'follower.stall_ms' must be"),
            std::string::npos)
      << bad.errors;
  EXPECT_EQ(auxin_done({"config"}).status, 2);
}

TEST_F(Config, OutputThatCannotBeWrittenIsAFailure) {
  const Process::Environment none;
  Process defaults({"/bin/sh", "-c", std::string(AUXIN_COMMAND) +
                                         " config --print-defaults > /dev/full"},
                   path("full"), none);
  EXPECT_EQ(defaults.wait(), 1);
  EXPECT_NE(defaults.errors().find("cannot write"), std::string::npos);
}

TEST_F(Config, HelpAndVersionThatCannotBeWrittenAreFailures) {
  const Process::Environment none;
  int count = 0;
  for (const std::string words : {"--help", "--version", "run --help", "config --help"}) {
    for (const std::string output : {">/dev/full", ">&-"}) {
      const std::string line = std::string(AUXIN_COMMAND) + " " + words + " " + output;
      Process help({"/bin/sh", "-c", line}, path("help" + std::to_string(count++)), none);
      EXPECT_EQ(help.wait(), 1) << line;
      EXPECT_NE(help.errors().find("cannot write to standard output"), std::string::npos) << line;
    }
  }
}

TEST_F(Manual, UsageOfRunNamesTheServer) {
  const Done help = auxin_done({"run", "--help"});
  EXPECT_NE(help.output.find("Usage: auxin run [OPTIONS] -- SERVER [ARG]...\n"),
            std::string::npos)
      << help.output;
}

TEST_F(Manual, NamesExactlyTheOptionsOfTheCommand) {
  std::set<std::string> helped;
  const std::vector<std::vector<std::string>> commands = {
      {}, {"run"}, {"status"}, {"locks"}, {"stop"}, {"switch"}, {"restore"}, {"checkpoint"},
      {"checkpoints"},
      {"discover"}, {"verify"},
      {"config"}, {"stm"}, {"stm", "create"}, {"stm", "info"}, {"stm", "check"},
      {"stm", "dump"}, {"stm", "serve"}, {"checkpoint"}, {"checkpoints"},
      {"checkpoint-server", "serve"}, {"checkpoint-server", "list"}};
  for (std::vector<std::string> words : commands) {
    words.push_back("--help");
    const Done help = auxin_done(words);
    EXPECT_EQ(help.status, 0);
    const auto options = options_in(help.output);
    helped.insert(options.begin(), options.end());
  }
  EXPECT_EQ(options_in(read_file(AUXIN_MANUAL)), helped);
}

TEST_F(Manual, NamesTheVariablesThatMatter) {
  const std::string manual = read_file(AUXIN_MANUAL);
  for (const char* variable : {"AUXIN_LIBRARY", "AUXIN_MAPS", "AUXIN_REPORT", "XDG_RUNTIME_DIR"}) {
    EXPECT_NE(manual.find(variable), std::string::npos) << variable;
  }
}

}  // namespace
}  // namespace auxin::cli
