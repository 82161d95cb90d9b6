// SPDX-License-Identifier: Apache-2.0
//
// An Incremental Message in somebody's bytes, which may come from anywhere: its structure is
// examined once, then it can be walked without further care.
//
// Thread safety: read only. The bytes must stay and must not change.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "checkpoint/message/message_format.h"
#include "checkpoint/outcome.h"

namespace auxin::checkpoint {

class MessageView {
 public:
  // Examines everything but the contents. kMalformed, kVersion, or kDamaged (a checksum of header
  // or tables).
  static Expected<MessageView> of(std::span<const uint8_t> bytes);

  // Unpacks and checks all contents: kDamaged or kOk. Allocates a scratch buffer if runs are
  // packed. kNoMemory.
  Outcome verify_contents() const;
  // They have been verified, and nobody has stored to them since: verify_contents need not.
  void trust_contents() { contents_verified_ = true; }

  const MessageHeader& header() const { return header_; }
  bool is_base() const { return (header_.flags & kBase) != 0; }
  bool has_checksums() const { return (header_.flags & kContentChecksums) != 0; }
  std::span<const uint8_t> bytes() const { return bytes_; }
  // The same for equal messages, different for others.
  uint64_t digest() const { return header_.header_checksum; }

  RegionRecord region(uint32_t index) const { return load<RegionRecord>(regions_, index); }
  RunRecord run(uint64_t index) const { return load<RunRecord>(runs_, index); }
  const uint8_t* contents() const { return bytes_.data() + sizeof(MessageHeader); }

  // One region with its runs, in order: a cursor over the message.
  class Walk {
   public:
    explicit Walk(const MessageView& message)
        : message_(message), stored_(message.contents()) {}
    bool next_region(RegionRecord* region) {
      for (; runs_left_ != 0; --runs_left_) skip();
      if (region_ == message_.header_.region_count) return false;
      *region = message_.region(region_++);
      runs_left_ = region->run_count;
      return true;
    }
    // Of the current region. *stored: where its contents are.
    bool next_run(RunRecord* run, const uint8_t** stored) {
      if (runs_left_ == 0) return false;
      --runs_left_;
      *run = message_.run(run_++);
      *stored = stored_;
      stored_ += run->stored_bytes;
      return true;
    }

   private:
    void skip() { stored_ += message_.run(run_++).stored_bytes; }

    const MessageView& message_;
    const uint8_t* stored_;
    uint32_t region_ = 0, runs_left_ = 0;
    uint64_t run_ = 0;
  };

 private:
  explicit MessageView(std::span<const uint8_t> bytes) : bytes_(bytes) {
    std::memcpy(&header_, bytes.data(), sizeof(header_));
  }
  template <typename Record>
  static Record load(const uint8_t* table, uint64_t index) {
    Record record;
    std::memcpy(&record, table + index * sizeof(Record), sizeof(Record));
    return record;
  }
  Outcome examine();
  Outcome examine_region(const RegionRecord& region, uint64_t first_run, uint64_t* content_bytes,
                         uint64_t* stored_bytes) const;

  std::span<const uint8_t> bytes_;
  MessageHeader header_;
  const uint8_t* regions_ = nullptr;
  const uint8_t* runs_ = nullptr;
  bool contents_verified_ = false;
};

}  // namespace auxin::checkpoint
