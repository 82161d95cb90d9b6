// SPDX-License-Identifier: Apache-2.0
//
// Tables for a terminal: rows of cells, columns as wide as they need to be.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace auxin::cli {

class TextTable {
 public:
  // `alignment`: one letter per column, l or r.
  explicit TextTable(std::string alignment) : alignment_(std::move(alignment)) {}

  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string text() const;

 private:
  std::string alignment_;
  std::vector<std::vector<std::string>> rows_;
};

std::string grouped(uint64_t number);                    // 1234567 as 1 234 567
std::string percent(uint64_t part, uint64_t whole);      // "1.5 %", "-" of nothing
std::string joined(const std::vector<std::string>& parts);  // "a, b", "none"

}  // namespace auxin::cli
