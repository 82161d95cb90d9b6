// SPDX-License-Identifier: Apache-2.0
//
// Which errors this process looks for (auxin_checkpoint_detect): one word for the whole process.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "auxin/checkpoint.h"

namespace auxin::checkpoint {

inline std::atomic<uint32_t> detection{0};

inline bool detects(auxin_checkpoint_detection what) {
  return (detection.load(std::memory_order_relaxed) & static_cast<uint32_t>(what)) != 0;
}

}  // namespace auxin::checkpoint
