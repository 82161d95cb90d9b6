// SPDX-License-Identifier: Apache-2.0
//
// Regions are walked together, by id; within a region the newer runs stand, and the older ones fill
// the gaps between them, cut where they reach into a newer one or beyond the newer size. Where a
// region shrank and then grew, or shrank in `older` and grew in `newer`, the bytes between the
// smaller and the newer size are zeros: written down, for the receiver may have had more before.
#include "checkpoint/message/merge.h"

#include <algorithm>
#include <vector>

#include "checkpoint/message/run_contents.h"

namespace auxin::checkpoint {
namespace {

struct Placed {
  RunRecord run;
  const uint8_t* stored;
  uint64_t end() const { return run.offset + run.length; }
};

struct Region {
  RegionRecord record;
  std::vector<Placed> runs;
};

// The regions of a message one by one.
class Regions {
 public:
  explicit Regions(const MessageView& message) : message_(message), walk_(message) { next(); }
  bool there() const { return there_; }
  const Region& current() const { return region_; }
  void next() {
    region_.runs.clear();
    there_ = walk_.next_region(&region_.record);
    if (!there_) return;
    Placed placed;
    while (walk_.next_run(&placed.run, &placed.stored)) region_.runs.push_back(placed);
  }
  bool has_checksums() const { return message_.has_checksums(); }

 private:
  const MessageView& message_;
  MessageView::Walk walk_;
  Region region_{};
  bool there_ = false;
};

class Merge {
 public:
  Merge(const MessageView& older, const MessageView& newer)
      : older_(older), newer_(newer), base_(older.is_base()),
        writer_(origin(older, newer), options(older, newer)) {
    writer_.expect(older.header().stored_bytes + newer.header().stored_bytes);
  }

  Expected<ByteBuffer> done() {
    while (older_.there() || newer_.there()) {
      const bool take_older =
          older_.there() && (!newer_.there() ||
                             older_.current().record.id <= newer_.current().record.id);
      const bool take_newer =
          newer_.there() && (!older_.there() ||
                             newer_.current().record.id <= older_.current().record.id);
      Outcome outcome = take_older && take_newer ? both() : take_newer ? alone(newer_.current())
                                                                      : alone(older_.current());
      if (!outcome) return outcome;
      if (take_older) older_.next();
      if (take_newer) newer_.next();
    }
    return writer_.finish();
  }

 private:
  static MessageOrigin origin(const MessageView& older, const MessageView& newer) {
    return {newer.header().state, older.header().from_sequence, newer.header().sequence,
            newer.header().taken_at_ns, newer.header().user_word};
  }
  static MessageOptions options(const MessageView& older, const MessageView& newer) {
    MessageOptions options;
    options.checksums = older.has_checksums() && newer.has_checksums();
    return options;
  }

  void begin(const RegionRecord& record, uint32_t flags) {
    writer_.begin_region(record.id, record.size_bytes, record.address, flags);
  }

  Outcome alone(const Region& region) {
    if (base_ && (region.record.flags & kRemoved) != 0) return Outcome::ok();
    if (base_ && (region.record.flags & kWhole) == 0) {
      return failure(AUXIN_CHECKPOINT_MALFORMED, "an increment of a region that the base lacks");
    }
    begin(region.record, region.record.flags);
    for (const Placed& placed : region.runs) writer_.add_stored(placed.run, placed.stored);
    return Outcome::ok();
  }

  Outcome both() {
    const Region& older = older_.current();
    const Region& newer = newer_.current();
    if ((newer.record.flags & (kWhole | kRemoved)) != 0) return alone(newer);
    if ((older.record.flags & kRemoved) != 0) {
      return failure(AUXIN_CHECKPOINT_MALFORMED, "an increment of a region that was removed");
    }
    begin(newer.record, older.record.flags);
    std::vector<Placed> below = older.runs;
    if (newer.record.size_bytes > older.record.size_bytes) {
      add_zeros(below, older.record.size_bytes, newer.record.size_bytes);
    }
    size_t at = 0;
    uint64_t from = 0;
    for (const Placed& placed : newer.runs) {
      if (Outcome outcome = fill(below, &at, from, placed.run.offset); !outcome) return outcome;
      writer_.add_stored(placed.run, placed.stored);
      from = placed.end();
    }
    return fill(below, &at, from, newer.record.size_bytes);
  }

  static void add_zeros(std::vector<Placed>& runs, uint64_t from, uint64_t to) {
    for (constexpr uint64_t kMost = UINT32_MAX; from < to;) {
      const uint32_t part = static_cast<uint32_t>(std::min(to - from, kMost));
      runs.push_back({RunRecord{from, part, 0, static_cast<uint32_t>(Encoding::kZeros), 0, 0},
                      nullptr});
      from += part;
    }
  }

  // What `runs` have in [from, to). *at: the first that may reach into it.
  Outcome fill(const std::vector<Placed>& runs, size_t* at, uint64_t from, uint64_t to) {
    while (*at < runs.size() && runs[*at].end() <= from) ++*at;
    for (size_t i = *at; i < runs.size() && runs[i].run.offset < to; ++i) {
      const uint64_t begin = std::max(runs[i].run.offset, from);
      const uint64_t end = std::min(runs[i].end(), to);
      if (Outcome outcome = add_part(runs[i], begin, end); !outcome) return outcome;
    }
    return Outcome::ok();
  }

  Outcome add_part(const Placed& placed, uint64_t begin, uint64_t end) {
    const RunRecord& run = placed.run;
    if (begin == run.offset && end == placed.end()) {
      writer_.add_stored(run, placed.stored);
      return Outcome::ok();
    }
    if (static_cast<Encoding>(run.encoding) == Encoding::kZeros) {
      writer_.add_zeros(begin, end - begin);
      return Outcome::ok();
    }
    if (!scratch_.resize(kMaxRunBytes)) {
      return failure(AUXIN_CHECKPOINT_NO_MEMORY, "no memory to unpack a message");
    }
    if (!contents_are_good(run, placed.stored, older_.has_checksums(), scratch_.data()) ||
        !unpack(run, placed.stored, scratch_.data())) {
      return failure(AUXIN_CHECKPOINT_DAMAGED, "contents of the older message are damaged");
    }
    writer_.add_contents(begin, scratch_.data() + (begin - run.offset), end - begin);
    return Outcome::ok();
  }

  Regions older_, newer_;
  const bool base_;
  MessageWriter writer_;
  ByteBuffer scratch_;
};

}  // namespace

Expected<ByteBuffer> merge(const MessageView& older, const MessageView& newer) {
  if (older.header().state != newer.header().state) {
    return failure(AUXIN_CHECKPOINT_FOREIGN, "the two messages are of different states");
  }
  if (newer.is_base() || newer.header().from_sequence != older.header().sequence) {
    return failure(AUXIN_CHECKPOINT_GAP,
                   "the second message follows " +
                       std::to_string(newer.header().from_sequence) + ", the first ends at " +
                       std::to_string(older.header().sequence));
  }
  return Merge(older, newer).done();
}

}  // namespace auxin::checkpoint
