// SPDX-License-Identifier: Apache-2.0
#include "cli/shell_words.h"

#include <algorithm>
#include <cctype>
#include <cstring>

namespace auxin::cli {
namespace {

// "{replica}" stays as it is: braces around a single word mean nothing to a shell.
bool is_plain(char letter) {
  return std::isalnum(static_cast<unsigned char>(letter)) != 0 ||
         (letter != '\0' && strchr("_-./:=,+@%{}", letter) != nullptr);
}

}  // namespace

std::string shell_word(const std::string& word) {
  if (!word.empty() && std::all_of(word.begin(), word.end(), is_plain)) return word;
  std::string quoted = "'";
  for (const char letter : word) {
    if (letter == '\'') {
      quoted += "'\\''";
    } else {
      quoted += letter;
    }
  }
  return quoted + "'";
}

std::string shell_words(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + shell_word(word);
  return text;
}

}  // namespace auxin::cli
