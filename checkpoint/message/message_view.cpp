// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/message/message_view.h"

#include "checkpoint/message/byte_buffer.h"
#include "checkpoint/message/checksum.h"
#include "checkpoint/message/run_contents.h"

namespace auxin::checkpoint {
namespace {

Outcome malformed(const char* why) {
  return failure(AUXIN_CHECKPOINT_MALFORMED, std::string("not an Incremental Message: ") + why);
}

// Null, or what is wrong with a run by itself.
const char* wrong_in(const RunRecord& run, uint64_t region_bytes, uint64_t previous_end,
                     bool with_checksums) {
  if (run.zero != 0) return "a run's reserved field is set";
  if (run.length == 0) return "an empty run";
  if (run.offset < previous_end) return "runs overlap or are out of order";
  if (run.offset > region_bytes || run.length > region_bytes - run.offset) {
    return "a run beyond its region";
  }
  const Encoding encoding = static_cast<Encoding>(run.encoding);
  if (encoding != Encoding::kZeros && run.length > kMaxRunBytes) return "a run is too long";
  if ((encoding == Encoding::kZeros || !with_checksums) && run.checksum != 0) {
    return "a checksum where there is none";
  }
  switch (encoding) {
    case Encoding::kZeros: return run.stored_bytes == 0 ? nullptr : "zeros are stored";
    case Encoding::kRaw:
      return run.stored_bytes == run.length ? nullptr : "a raw run of another length";
    case Encoding::kLz4:
      return run.stored_bytes != 0 && run.stored_bytes < run.length
                 ? nullptr
                 : "a packed run that is not shorter";
  }
  return "an unknown encoding";
}

}  // namespace

Expected<MessageView> MessageView::of(std::span<const uint8_t> bytes) {
  if (bytes.size() < sizeof(MessageHeader)) return malformed("shorter than its header");
  MessageView view(bytes);
  if (Outcome outcome = view.examine(); !outcome) return outcome;
  return view;
}

Outcome MessageView::examine() {
  const MessageHeader& header = header_;
  if (std::memcmp(header.magic, kMessageMagic, sizeof(kMessageMagic)) != 0) {
    return malformed("it begins with something else");
  }
  if (header.version != kMessageVersion) {
    return failure(AUXIN_CHECKPOINT_VERSION,
                   "an Incremental Message of version " + std::to_string(header.version) +
                       ", not " + std::to_string(kMessageVersion));
  }
  if (checksum_of(&header, offsetof(MessageHeader, header_checksum)) != header.header_checksum) {
    return failure(AUXIN_CHECKPOINT_DAMAGED, "the message's header is damaged");
  }
  if (header.header_bytes != sizeof(MessageHeader) || (header.flags & ~kKnownMessageFlags) != 0 ||
      header.zero != 0 || header.zero_too[0] != 0 || header.zero_too[1] != 0) {
    return malformed("its header has unknown flags or sizes");
  }
  if (header.sequence <= header.from_sequence || is_base() != (header.from_sequence == 0)) {
    return malformed("its sequence numbers contradict one another");
  }
  if (header.total_bytes != bytes_.size()) return malformed("it has another length than it says");
  uint64_t left = bytes_.size() - sizeof(MessageHeader);
  if (header.stored_bytes > left) return malformed("its contents are longer than it is");
  left -= header.stored_bytes;
  const uint64_t region_bytes = uint64_t{header.region_count} * sizeof(RegionRecord);
  if (region_bytes > left) return malformed("it has fewer regions than it says");
  left -= region_bytes;
  if (left % sizeof(RunRecord) != 0 || left / sizeof(RunRecord) != header.run_count) {
    return malformed("it has another number of runs than it says");
  }
  regions_ = contents() + header.stored_bytes;
  runs_ = regions_ + region_bytes;
  if (checksum_of(regions_, region_bytes + left) != header.tables_checksum) {
    return failure(AUXIN_CHECKPOINT_DAMAGED, "the message's tables are damaged");
  }
  uint64_t run_count = 0, content_bytes = 0, stored_bytes = 0;
  for (uint32_t i = 0; i < header.region_count; ++i) {
    const RegionRecord record = region(i);
    if (i > 0 && record.id <= region(i - 1).id) return malformed("regions are out of order");
    if (record.run_count > header.run_count - run_count) return malformed("runs are missing");
    if (Outcome outcome = examine_region(record, run_count, &content_bytes, &stored_bytes);
        !outcome) {
      return outcome;
    }
    run_count += record.run_count;
  }
  if (run_count != header.run_count) return malformed("runs belong to no region");
  if (content_bytes != header.content_bytes || stored_bytes != header.stored_bytes) {
    return malformed("its sums are wrong");
  }
  return Outcome::ok();
}

Outcome MessageView::examine_region(const RegionRecord& region, uint64_t first_run,
                                    uint64_t* content_bytes, uint64_t* stored_bytes) const {
  if ((region.flags & ~kKnownRegionFlags) != 0) return malformed("a region has unknown flags");
  const bool removed = (region.flags & kRemoved) != 0;
  const bool whole = (region.flags & kWhole) != 0;
  if (removed && (whole || is_base() || region.size_bytes != 0 || region.run_count != 0)) {
    return malformed("a removed region has contents");
  }
  if (is_base() && !whole) return malformed("a base has a region that is not whole");
  uint64_t end = 0;
  for (uint32_t i = 0; i < region.run_count; ++i) {
    const RunRecord record = run(first_run + i);
    if (const char* why = wrong_in(record, region.size_bytes, end, has_checksums())) {
      return malformed(why);
    }
    end = record.offset + record.length;
    if (static_cast<Encoding>(record.encoding) != Encoding::kZeros) {
      *content_bytes += record.length;
    }
    *stored_bytes += record.stored_bytes;
    if (*stored_bytes > header_.stored_bytes) return malformed("contents are missing");
  }
  return Outcome::ok();
}

Outcome MessageView::verify_contents() const {
  if (contents_verified_) return Outcome::ok();
  ByteBuffer scratch;
  Walk walk(*this);
  RegionRecord region;
  while (walk.next_region(&region)) {
    RunRecord run;
    const uint8_t* stored = nullptr;
    while (walk.next_run(&run, &stored)) {
      if (static_cast<Encoding>(run.encoding) == Encoding::kLz4 &&
          !scratch.resize(kMaxRunBytes)) {
        return failure(AUXIN_CHECKPOINT_NO_MEMORY, "no memory to unpack a message");
      }
      if (!contents_are_good(run, stored, has_checksums(), scratch.data())) {
        return failure(AUXIN_CHECKPOINT_DAMAGED,
                       "contents are damaged: region " + std::to_string(region.id) + ", " +
                           std::to_string(run.length) + " bytes at " +
                           std::to_string(run.offset));
      }
    }
  }
  return Outcome::ok();
}

}  // namespace auxin::checkpoint
