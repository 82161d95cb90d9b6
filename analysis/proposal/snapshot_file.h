// SPDX-License-Identifier: Apache-2.0
//
// Snapshots (recording/snapshots.h) in memory, and how to follow a pointer in one.
//
// A file that ends early gives its whole records. No number in it is believed before it is checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stmemu/result.h"

namespace auxin::analysis {

struct Snapshot {
  uint32_t tid = 0;
  uint64_t clock = 0, object = 0, dispatched = 0;
  bool left = false;
  std::string join_point;

  struct Block {
    uint64_t address = 0;
    uint32_t level = 0;
    std::vector<unsigned char> bytes;
  };
  std::vector<Block> blocks;  // the first is the object itself

  // The value at an address, if the snapshot has it.
  std::optional<uint64_t> word_at(uint64_t address) const;
  std::optional<uint32_t> number_at(uint64_t address) const;
  // The text that begins there; nothing: none that ends within what was read.
  std::optional<std::string> text_at(uint64_t address) const;
  uint32_t object_bytes() const;

 private:
  const unsigned char* find(uint64_t address, uint32_t size_bytes, uint32_t* left_bytes) const;
};

Result<std::vector<Snapshot>> read_snapshots(const std::string& path);

}  // namespace auxin::analysis
