// SPDX-License-Identifier: Apache-2.0
//
// The styles, scripts and bodies of the pages, as they stand beside this file; they are put into
// the command when it is built (cmake/EmbedSources.cmake), so a page needs nothing installed.
#pragma once

#include <span>
#include <string_view>

namespace auxin::cli {

struct Source {
  std::string_view name, text;  // "shared.css"
};

extern const std::span<const Source> kSources;

// A name that is not there is a programmer's error.
std::string_view source_of(std::string_view name);

}  // namespace auxin::cli
