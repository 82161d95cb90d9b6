// SPDX-License-Identifier: Apache-2.0
//
// What captures have cost, and how what changed was found.
#pragma once

#include <cstdint>

#include "checkpoint/tracking/page_tracker.h"

namespace auxin::checkpoint {

struct CaptureReport {
  uint64_t sequence = 0;        // of its message; 0: none was taken yet
  bool base = false;
  TrackingMethod method = TrackingMethod::kAutomatic;
  const char* reason = "";      // why this method, or why some of it was copied whole
  uint32_t rounds = 0;          // of copies before the pause
  uint64_t pause_ns = 0;        // between options.pause and options.resume
  uint64_t staged_pages = 0;    // copied in the pause and before; method fork: told, see below
  uint64_t object_bytes = 0;    // of marked objects
  LookReport look{};            // of the last look, in the pause
  // Known once its message is made:
  uint64_t changed_pages = 0;
  uint64_t content_bytes = 0;
  uint64_t message_bytes = 0;
};

struct StateStatistics {
  uint64_t bases = 0, increments = 0;
  uint64_t pause_ns = 0, longest_pause_ns = 0;
  uint64_t message_bytes = 0;
  CaptureReport last;
};

}  // namespace auxin::checkpoint
