// SPDX-License-Identifier: Apache-2.0
//
// Builds an Incremental Message: regions ascending by id, the runs of each ascending by offset.
//
// An operation that finds no memory makes finish() fail; nothing else can go wrong. Wrong order is
// a programmer's error (CHECK).
#pragma once

#include <cstdint>

#include "checkpoint/message/byte_buffer.h"
#include "checkpoint/message/message_format.h"
#include "checkpoint/outcome.h"

namespace auxin::checkpoint {

struct MessageOptions {
  bool lz4 = false;        // runs that become shorter are packed
  bool checksums = true;   // of the contents
  bool find_zeros = true;  // runs of zeros only are stored as such
};

// What the process says about the message as a whole.
struct MessageOrigin {
  uint64_t state = 0;
  uint64_t from_sequence = 0;  // 0: a base
  uint64_t sequence = 0;
  uint64_t taken_at_ns = 0;
  uint64_t user_word = 0;
};

class MessageWriter {
 public:
  MessageWriter(const MessageOrigin& origin, const MessageOptions& options);

  // Room for that many bytes of contents, so that building copies nothing twice.
  void expect(uint64_t content_bytes);

  void begin_region(uint64_t id, uint64_t size_bytes, uint64_t address, uint32_t flags);
  void add_removed_region(uint64_t id) { begin_region(id, 0, 0, kRemoved); }
  // `contents` of any length, into as many runs as it takes.
  void add_contents(uint64_t offset, const void* contents, uint64_t length);
  void add_zeros(uint64_t offset, uint64_t length);
  // As it stands in another message; its checksum is believed.
  void add_stored(const RunRecord& run, const uint8_t* stored);

  Expected<ByteBuffer> finish();

 private:
  void add_run(const RunRecord& run);
  void add_one(uint64_t offset, const uint8_t* contents, uint32_t length);
  void check_order(uint64_t offset, uint64_t length);

  const MessageOptions options_;
  MessageHeader header_{};
  RegionRecord region_{};
  bool in_region_ = false;
  bool no_memory_ = false;
  uint64_t end_ = 0;  // of the region's last run
  ByteBuffer message_;  // header and contents
  ByteBuffer regions_, runs_;
};

}  // namespace auxin::checkpoint
