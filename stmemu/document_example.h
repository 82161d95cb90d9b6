// SPDX-License-Identifier: Apache-2.0
//
// For the tests that hold a format's document against the code: its examples, and bytes as it
// writes them.
#pragma once

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

namespace auxin::stm {

// Sixteen bytes a line, as in the documents.
inline std::string hex(const void* bytes, size_t size_bytes) {
  std::string text;
  for (size_t at = 0; at < size_bytes; ++at) {
    char digits[4];
    snprintf(digits, sizeof(digits), "%02x", static_cast<const unsigned char*>(bytes)[at]);
    text += digits;
    text += at % 16 == 15 || at + 1 == size_bytes ? '\n' : ' ';
  }
  return text;
}

// What stands between ```name and ``` in `document`.
inline std::string example(const char* document, const std::string& name) {
  std::ifstream file(document);
  std::stringstream all;
  all << file.rdbuf();
  const std::string text = all.str();
  const std::string fence = "```" + name + "\n";
  const size_t from = text.find(fence);
  if (from == std::string::npos) return "no example " + name;
  const size_t to = text.find("```", from + fence.size());
  return text.substr(from + fence.size(), to - from - fence.size());
}

}  // namespace auxin::stm
