// SPDX-License-Identifier: Apache-2.0
//
// A receiver's copy of a state: its regions as bytes, brought forward message by message.
//
// Thread safety: as any container.
#pragma once

#include <cstdint>
#include <map>
#include <span>

#include "checkpoint/message/block_digests.h"
#include "checkpoint/message/byte_buffer.h"
#include "checkpoint/message/chain.h"
#include "checkpoint/message/message_view.h"
#include "checkpoint/message/message_writer.h"

namespace auxin::checkpoint {

namespace injection {
struct Tables;
}

class Image {
 public:
  struct Region {
    ByteBuffer bytes;
    uint64_t address = 0;
    BlockDigests digests;  // of a checked image
  };

  // `max_bytes`: of all regions together; a message may claim any size.
  explicit Image(uint64_t max_bytes = UINT64_MAX) : max_bytes_(max_bytes) {}

  // All or nothing: if it fails, the image is what it was. What judge_sequence says; kDamaged,
  // kMalformed (an increment of a region that is not there), kTooLarge, kNoMemory.
  Outcome apply(const MessageView& message);

  // From now on the image knows its own bytes and tables: what has turned in memory since is found
  // before a message is laid over it, and before it is handed on. kDamaged then; a base replaces
  // everything.
  void set_checked(bool checked);
  // Lays messages with that much in them over the image by two threads, where a second one can be
  // had: for processes in which the service has threads anyway.
  void take_second_threads(uint64_t from_bytes) { second_thread_from_bytes_ = from_bytes; }
  // All of it. kDamaged: it is checked, and is not what was applied.
  Outcome check() const;

  // A base of what the image holds now, with the sequence number it has.
  Expected<ByteBuffer> to_base(const MessageOptions& options) const;

  const ChainPosition& position() const { return position_; }
  uint64_t user_word() const { return user_word_; }
  uint64_t taken_at_ns() const { return taken_at_ns_; }
  const std::map<uint64_t, Region>& regions() const { return regions_; }
  // Null: there is none.
  const Region* region(uint64_t id) const;

 private:
  friend struct injection::Tables;  // turns bits in them
  struct Change;
  Outcome prepare(const MessageView& message, Change* change) const;
  Outcome check_touched(const MessageView& message) const;
  void note(const MessageView& message, const Change& change);
  // Of the message's contents, which are `bytes` long, those runs that begin in that part of them.
  void write_part(const MessageView& message, uint64_t from, uint64_t to);
  void write(const MessageView& message, uint64_t bytes);
  // Of all but the regions' bytes, of which their own digests tell.
  uint64_t digest_of_tables() const;

  uint64_t max_bytes_;
  bool checked_ = false;
  uint64_t second_thread_from_bytes_ = UINT64_MAX;
  uint64_t tables_digest_ = 0;  // of a checked image
  ChainPosition position_;
  uint64_t user_word_ = 0, taken_at_ns_ = 0;
  std::map<uint64_t, Region> regions_;
};

}  // namespace auxin::checkpoint
