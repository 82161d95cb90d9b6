// SPDX-License-Identifier: Apache-2.0
//
// Command lines that are told so that a user can type them again.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <vector>

namespace auxin::cli {

// The word as a shell reads it: in quotes where it must be.
std::string shell_word(const std::string& word);

// All words, with a blank between two.
std::string shell_words(const std::vector<std::string>& words);

}  // namespace auxin::cli
