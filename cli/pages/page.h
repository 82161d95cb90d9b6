// SPDX-License-Identifier: Apache-2.0
//
// A page: one HTML file with its styles, its scripts and its data inside. It loads nothing and
// sends nothing, and forbids both to itself (Content-Security-Policy).
//
// What it shows comes from recorded processes: names of functions and operations, command lines.
// They reach the page as JSON only, in a form that can't end the element that holds it, and the
// scripts make text of them, never markup.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace auxin::cli {

struct PageParts {
  std::string title;                               // any text
  std::vector<std::string_view> styles, scripts;   // names of sources (sources.h), in order
  std::string_view body;                           // a name too
};

std::string to_page(const PageParts& parts, const nlohmann::ordered_json& data);

// For an element <script type="application/json">. Bytes that are no UTF-8 are replaced.
std::string json_in_script(const nlohmann::ordered_json& data);

// For text between tags and for quoted attributes.
std::string html_text(std::string_view text);

}  // namespace auxin::cli
