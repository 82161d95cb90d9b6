// SPDX-License-Identifier: Apache-2.0
//
// Goal: a command line that is told can be typed again. Method: words that a shell would take
// apart, as told, and what a shell makes of them.
#include "cli/shell_words.h"

#include <gtest/gtest.h>
#include <stdio.h>

namespace auxin::cli {
namespace {

// What a shell passes on, a word a line.
std::string as_a_shell_reads(const std::string& line) {
  FILE* const shell = popen(("printf '%s\\n' " + line).c_str(), "r");
  std::string text;
  for (int letter; (letter = fgetc(shell)) != EOF;) text += static_cast<char>(letter);
  pclose(shell);
  return text;
}

TEST(ShellWords, PlainOnesStayAsTheyAre) {
  EXPECT_EQ(shell_words({"./server", "--ior", "ior-{replica}", "giop:tcp::5000", "a=b"}),
            "./server --ior ior-{replica} giop:tcp::5000 a=b");
}

TEST(ShellWords, OthersAreQuotedSoThatAShellKeepsThem) {
  const std::vector<std::string> words = {"./my server", "",  "it's",   "$HOME",
                                          "a;b",         "*", "{a,b} c"};
  std::string lines;
  for (const std::string& word : words) lines += word + "\n";
  EXPECT_EQ(as_a_shell_reads(shell_words(words)), lines);
  EXPECT_EQ(shell_word("./my server"), "'./my server'");
}

}  // namespace
}  // namespace auxin::cli
