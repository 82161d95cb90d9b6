// SPDX-License-Identifier: Apache-2.0
//
// The files of a group's checkpoints.
//
//   DIRECTORY/B/0.segment   checkpoint B, a base
//   DIRECTORY/B/K.segment   checkpoint B + K: what changed since B + K - 1
//
// Numbers count up and are never given twice. A checkpoint is there as soon as its segment has its
// name and every one before it in the chain is there: what was begun and never completed is none.
//
// Thread safety: one thread writes; any process may list.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/process/image_format.h"
#include "stmemu/result.h"

namespace auxin::supervisor {

struct CheckpointSummary {
  uint64_t number;
  uint64_t base;                       // the checkpoint that its chain begins with
  uint64_t log_position;
  uint64_t size_bytes;                 // of its own segment
  uint64_t made_realtime_ns;
  uint32_t thread_count, descriptor_count;
  std::string program;
  std::vector<std::string> segments;   // paths, oldest first: the base to its own
  uint64_t chain_size_bytes;           // of all of them
  uint64_t delta_size_bytes;           // … but the base
};

// Those that are complete, by number. Reads headers and commit records only.
std::vector<CheckpointSummary> list_checkpoints(const std::string& directory);

// Above all numbers that were ever begun and have left something.
uint64_t next_checkpoint_number(const std::string& directory);

// Makes the directories of a new base. An error is a sentence.
Result<bool> make_room_for_base(const std::string& directory, uint64_t number);

// What an attempt that failed has left.
void remove_checkpoint(const std::string& directory, uint64_t base, uint64_t number);

// Chains that none of the `kept` newest complete checkpoints up to `newest` needs.
void remove_old_checkpoints(const std::string& directory, uint64_t newest, size_t kept);

// All those above `number`.
void remove_later_checkpoints(const std::string& directory, uint64_t number);

}  // namespace auxin::supervisor
