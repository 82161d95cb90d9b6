// SPDX-License-Identifier: Apache-2.0
//
// For the tests that hold a format's document against the code: its examples, bytes as it writes
// them, and its tables of fields.
#pragma once

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

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

inline std::string text_of(const char* document) {
  std::ifstream file(document);
  std::stringstream all;
  all << file.rdbuf();
  return all.str();
}

// What stands between ```name and ``` in `document`.
inline std::string example(const char* document, const std::string& name) {
  const std::string text = text_of(document);
  const std::string fence = "```" + name + "\n";
  const size_t from = text.find(fence);
  if (from == std::string::npos) return "no example " + name;
  const size_t to = text.find("```", from + fence.size());
  return text.substr(from + fence.size(), to - from - fence.size());
}

// A row `| offset | size | name | … |` of a table of fields.
struct Field {
  uint64_t offset, size_bytes;
  std::string name;

  friend bool operator==(const Field&, const Field&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Field& field) {
    return out << field.offset << " " << field.size_bytes << " " << field.name;
  }
};

#define AUXIN_FIELD(Record, member) AUXIN_FIELD_NAMED(Record, member, #member)
#define AUXIN_FIELD_NAMED(Record, member, name) \
  ::auxin::stm::Field { offsetof(Record, member), sizeof(Record::member), name }

// The rows of the first table under the heading `heading` (a whole line, without its #).
inline std::vector<Field> table(const char* document, const std::string& heading) {
  std::vector<Field> fields;
  std::istringstream text(text_of(document));
  std::string line;
  while (std::getline(text, line) && line != "## " + heading && line != "### " + heading) {
  }
  while (std::getline(text, line) && line.compare(0, 1, "#") != 0) {
    if (line.compare(0, 1, "|") != 0) {
      if (!fields.empty()) break;
      continue;
    }
    Field field;
    char bar;
    std::istringstream row(line);
    if (row >> bar >> field.offset >> bar >> field.size_bytes >> bar >> field.name) {
      fields.push_back(field);
    }
  }
  return fields;
}

}  // namespace auxin::stm
