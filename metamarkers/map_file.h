// SPDX-License-Identifier: Apache-2.0
//
// The text of a join-point map (maps/FORMAT.md), parsed and checked: unknown keys, wrong types and
// values out of range are errors with the line they stand in, so that a misspelt key can't silently
// switch something off.
#pragma once

#include <string>

#include "metamarkers/join_point_map.h"

namespace auxin::markers {

// `path` is for the map's own record and for errors ("PATH:LINE: sentence").
LoadedMap parse_map(const std::string& text, const std::string& path);

}  // namespace auxin::markers
