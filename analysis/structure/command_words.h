// SPDX-License-Identifier: Apache-2.0
//
// A compiler's command line, and what of it matters to who only reads the source.
//
// Thread safety: functions without state.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace auxin::analysis {

// As a shell divides it: quotes and backslashes; nothing is expanded. A quote that is not closed
// goes to the end.
std::vector<std::string> words_of_command(std::string_view command);

struct ReadingCommand {
  bool cpp_driver = false;             // the compiler's name says C++, whatever the file's says
  std::vector<std::string> arguments;  // without compiler, inputs, outputs and what makes code
  std::vector<std::string> remarks;    // what could not be followed, as sentences
};

// `words`: the whole command. Words before the compiler (ccache, env A=B) are passed over, response
// files (@file) are read, relative to `directory`, and what clang may not know and a parser does
// not need is left out.
ReadingCommand reading_command(const std::vector<std::string>& words,
                               const std::filesystem::path& directory);

}  // namespace auxin::analysis
