// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/message/message_writer.h"

#include <cstring>

#include "checkpoint/message/checksum.h"
#include "checkpoint/message/run_contents.h"
#include "stmemu/check.h"

namespace auxin::checkpoint {

MessageWriter::MessageWriter(const MessageOrigin& origin, const MessageOptions& options)
    : options_(options) {
  CHECK(origin.sequence > origin.from_sequence, "sequence numbers grow");
  std::memcpy(header_.magic, kMessageMagic, sizeof(kMessageMagic));
  header_.version = kMessageVersion;
  header_.header_bytes = sizeof(MessageHeader);
  header_.flags = (origin.from_sequence == 0 ? kBase : 0u) |
                  (options.checksums ? kContentChecksums : 0u);
  header_.state = origin.state;
  header_.from_sequence = origin.from_sequence;
  header_.sequence = origin.sequence;
  header_.taken_at_ns = origin.taken_at_ns;
  header_.user_word = origin.user_word;
  no_memory_ = !message_.resize(sizeof(MessageHeader));
}

void MessageWriter::expect(uint64_t content_bytes) {
  // Tables of the usual size fit too; more is found room for later.
  static_cast<void>(message_.reserve(sizeof(MessageHeader) + content_bytes +
                                     content_bytes / 64 + 4096));
}

void MessageWriter::begin_region(uint64_t id, uint64_t size_bytes, uint64_t address,
                                 uint32_t flags) {
  CHECK(!in_region_ || id > region_.id, "regions come in ascending order");
  if (in_region_ && !regions_.append(&region_, sizeof(region_))) no_memory_ = true;
  region_ = RegionRecord{id, size_bytes, address, 0, flags};
  in_region_ = true;
  end_ = 0;
  ++header_.region_count;
}

void MessageWriter::check_order(uint64_t offset, uint64_t length) {
  CHECK(in_region_ && offset >= end_ && offset <= region_.size_bytes &&
            length <= region_.size_bytes - offset,
        "runs come in ascending order, within their region");
  end_ = offset + length;
}

void MessageWriter::add_run(const RunRecord& run) {
  ++region_.run_count;
  ++header_.run_count;
  header_.stored_bytes += run.stored_bytes;
  if (static_cast<Encoding>(run.encoding) != Encoding::kZeros) {
    header_.content_bytes += run.length;
  }
  if (!runs_.append(&run, sizeof(run))) no_memory_ = true;
}

void MessageWriter::add_contents(uint64_t offset, const void* contents, uint64_t length) {
  check_order(offset, length);
  const uint8_t* at = static_cast<const uint8_t*>(contents);
  for (uint64_t done = 0; done < length;) {
    const uint64_t left = length - done;
    const uint32_t part = left < kMaxRunBytes ? static_cast<uint32_t>(left) : kMaxRunBytes;
    add_one(offset + done, at + done, part);
    done += part;
  }
}

void MessageWriter::add_one(uint64_t offset, const uint8_t* contents, uint32_t length) {
  RunRecord run{offset, length, length, static_cast<uint32_t>(Encoding::kRaw), 0, 0};
  if (options_.find_zeros && all_zeros(contents, length)) {
    run.encoding = static_cast<uint32_t>(Encoding::kZeros);
    run.stored_bytes = 0;
    return add_run(run);
  }
  const uint64_t at = message_.size();
  if (no_memory_ || !message_.resize(at + length)) {
    no_memory_ = true;
    return;
  }
  uint8_t* to = message_.data() + at;
  const uint32_t packed = options_.lz4 ? pack_lz4(contents, length, to) : 0;
  if (packed != 0) {
    run.encoding = static_cast<uint32_t>(Encoding::kLz4);
    run.stored_bytes = packed;
    static_cast<void>(message_.resize(at + packed));
  } else {
    std::memcpy(to, contents, length);
  }
  if (options_.checksums) run.checksum = checksum_of(contents, length);
  add_run(run);
}

void MessageWriter::add_zeros(uint64_t offset, uint64_t length) {
  check_order(offset, length);
  constexpr uint64_t kMost = UINT32_MAX;
  for (uint64_t done = 0; done < length;) {
    const uint64_t part = length - done < kMost ? length - done : kMost;
    add_run(RunRecord{offset + done, static_cast<uint32_t>(part), 0,
                      static_cast<uint32_t>(Encoding::kZeros), 0, 0});
    done += part;
  }
}

void MessageWriter::add_stored(const RunRecord& run, const uint8_t* stored) {
  check_order(run.offset, run.length);
  RunRecord copy = run;
  if (!options_.checksums) copy.checksum = 0;
  if (!message_.append(stored, run.stored_bytes)) no_memory_ = true;
  add_run(copy);
}

Expected<ByteBuffer> MessageWriter::finish() {
  if (in_region_ && !regions_.append(&region_, sizeof(region_))) no_memory_ = true;
  in_region_ = false;
  const uint64_t tables_at = message_.size();
  if (no_memory_ || !message_.append(regions_.data(), regions_.size()) ||
      !message_.append(runs_.data(), runs_.size())) {
    return failure(AUXIN_CHECKPOINT_NO_MEMORY, "no memory for an Incremental Message");
  }
  header_.total_bytes = message_.size();
  header_.tables_checksum =
      checksum_of(message_.data() + tables_at, message_.size() - tables_at);
  header_.header_checksum = checksum_of(&header_, offsetof(MessageHeader, header_checksum));
  std::memcpy(message_.data(), &header_, sizeof(header_));
  return std::move(message_);
}

}  // namespace auxin::checkpoint
