// SPDX-License-Identifier: Apache-2.0
//
// Errors that are made on purpose, one after the other: each bit of what the service reads is
// turned, and what becomes of it is counted.
//
//   detected   refused, and what was there before is there still
//   masked     accepted, and the state is the right one all the same
//   missed     accepted, and the state is a wrong one; or spoilt by the refusal
//
// Everything is tried, nothing is random: the same counts each time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace auxin::checkpoint::injection {

struct Row {
  std::string where;
  uint64_t detected = 0, masked = 0, missed = 0;
  uint64_t injected() const { return detected + masked + missed; }
};

// `directory`: of the caller's own, for a store.
std::vector<Row> run_campaign(const std::string& directory);

// As a table of docs/checkpoint-errors.md.
std::string table_of(const std::vector<Row>& rows);

}  // namespace auxin::checkpoint::injection
