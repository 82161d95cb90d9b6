// SPDX-License-Identifier: Apache-2.0
//
// Checks of options that are numbers. The parser itself takes "-1" for the largest number there is,
// and one that does not fit for the largest that does.
//
// Thread safety: pure functions.
#pragma once

#include <CLI/Validators.hpp>
#include <charconv>
#include <cstdint>
#include <string>

namespace auxin::cli {

inline constexpr int kMostSeconds = 86'400;      // of any wait that an option names
inline constexpr uint64_t kMostTurns = 1'000'000'000;  // of anything that is done again and again

// Digits alone, that fit into 64 bits.
inline CLI::Validator whole_number() {
  return CLI::Validator(
      [](std::string& text) {
        uint64_t value = 0;
        const char* const end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, value);
        return error == std::errc() && stop == end
                   ? std::string()
                   : "'" + text + "' is no number from 0 to 18446744073709551615";
      },
      "", "whole number");
}

}  // namespace auxin::cli
