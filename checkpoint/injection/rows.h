// SPDX-License-Identifier: Apache-2.0
//
// What the parts of the campaign share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "checkpoint/injection/campaign.h"

namespace auxin::checkpoint::injection {

enum class Fate { kDetected, kMasked, kMissed };

inline void count(Row* row, Fate fate) {
  ++(fate == Fate::kDetected ? row->detected : fate == Fate::kMasked ? row->masked : row->missed);
}

// Turns each bit of memory in its place, and back; `tried` says what became of it.
inline void each_bit_of(void* memory, size_t size_bytes, Row* row,
                        const std::function<Fate()>& tried) {
  volatile uint8_t* bytes = static_cast<uint8_t*>(memory);
  for (size_t at = 0; at < size_bytes; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      const uint8_t good = bytes[at];
      bytes[at] = static_cast<uint8_t>(good ^ (1 << bit));
      const Fate fate = tried();
      bytes[at] = good;
      count(row, fate);
    }
  }
}

void add_tables(std::vector<Row>* rows);
void add_wrong_calls(const std::string& directory, std::vector<Row>* rows);

}  // namespace auxin::checkpoint::injection
