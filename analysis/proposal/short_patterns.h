// SPDX-License-Identifier: Apache-2.0
//
// Function patterns that people can read: where a function with all its arguments is too long for a
// line of a map, as many arguments from the end are left open as still mean the same functions.
//
// Thread safety: none needed; works on what it is given.
#pragma once

#include <string>
#include <vector>

namespace auxin::analysis {

// `function` as it is, if it has at most `room` characters or no shorter form matches the same of
// `symbols` (mangled); else with "*" in the place of its last arguments.
std::string short_pattern(const std::string& function, const std::vector<std::string>& symbols,
                          size_t room);

}  // namespace auxin::analysis
