// SPDX-License-Identifier: Apache-2.0
#include "cli/pages/page.h"

#include <nlohmann/json.hpp>

#include "cli/pages/sources.h"
#include "stmemu/check.h"

namespace auxin::cli {
namespace {

std::string joined(const std::vector<std::string_view>& names) {
  std::string text;
  for (const std::string_view name : names) text += source_of(name);
  return text;
}

}  // namespace

std::string_view source_of(std::string_view name) {
  for (const Source& source : kSources) {
    if (source.name == name) return source.text;
  }
  CHECK(false, "a page is made of sources that exist");
  return {};
}

std::string html_text(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&': result += "&amp;"; break;
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '"': result += "&quot;"; break;
      case '\'': result += "&#39;"; break;
      default: result += c;
    }
  }
  return result;
}

std::string json_in_script(const nlohmann::ordered_json& data) {
  const std::string json =
      data.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  std::string result;
  result.reserve(json.size() + json.size() / 16);
  // All three stand in strings only, where JSON lets them be written as numbers. Without them there
  // is no end tag, no comment and no reference.
  for (const char c : json) {
    switch (c) {
      case '<': result += "\\u003c"; break;
      case '>': result += "\\u003e"; break;
      case '&': result += "\\u0026"; break;
      default: result += c;
    }
  }
  return result;
}

// In one pass: what is put in is not looked at again.
std::string to_page(const PageParts& parts, const nlohmann::ordered_json& data) {
  const std::string_view frame = source_of("page.html");
  std::string page;
  for (size_t at = 0; at < frame.size();) {
    const size_t mark = frame.find("{{", at);
    if (mark == std::string_view::npos) {
      page += frame.substr(at);
      break;
    }
    page += frame.substr(at, mark - at);
    const size_t end = frame.find("}}", mark);
    CHECK(end != std::string_view::npos, "a mark of the page's frame is closed");
    const std::string_view name = frame.substr(mark + 2, end - mark - 2);
    if (name == "title") {
      page += html_text(parts.title);
    } else if (name == "styles") {
      page += joined(parts.styles);
    } else if (name == "body") {
      page += source_of(parts.body);
    } else if (name == "data") {
      page += json_in_script(data);
    } else {
      CHECK(name == "scripts", "a mark of the page's frame is known");
      page += joined(parts.scripts);
    }
    at = end + 2;
  }
  return page;
}

}  // namespace auxin::cli
