// SPDX-License-Identifier: Apache-2.0
//
// How big a group's stable log is made.
//
// The log may take half of what is free on the state directory's file system, so that a second
// group and the rest of the machine keep room; sizes that the user names may take all of it. The
// file is sparse: what is not used takes no memory.
#pragma once

#include <cstdint>
#include <string>

#include "stmemu/result.h"
#include "stmemu/log/stable_memory.h"

namespace auxin::supervisor {

inline constexpr uint64_t kDefaultLogEntries = uint64_t{1} << 26;
inline constexpr uint64_t kDefaultLogPayloadBytes = uint64_t{1} << 32;
inline constexpr uint64_t kLeastLogBytes = uint64_t{16} << 20;

struct LogSizeWish {
  uint64_t entries = 0;        // 0: the default, cut to fit
  uint64_t payload_bytes = 0;  // the same
};

// The layout for a group's memory where `free_bytes` are free in `directory` (named in errors).
Result<stm::Layout> choose_layout(const LogSizeWish& wish, uint64_t free_bytes,
                                  const std::string& directory);

// What is free for this user on the file system of `directory`.
Result<uint64_t> free_space_bytes(const std::string& directory);

}  // namespace auxin::supervisor
