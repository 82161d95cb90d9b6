// SPDX-License-Identifier: Apache-2.0
//
// A line of a source file.
//
// Thread safety: a value.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace auxin::analysis {

struct Place {
  std::string file;  // absolute
  uint32_t line = 0;
  auto operator<=>(const Place&) const = default;

  std::string text() const;  // "account.cpp:41"; "" of no place
};

}  // namespace auxin::analysis
