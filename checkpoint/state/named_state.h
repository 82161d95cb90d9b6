// SPDX-License-Identifier: Apache-2.0
//
// What a process names of its state, and messages of it.
//
//   capture   in a pause, what changed is found and copied to a staging area (or a child is forked
//             that holds the image); the process goes on
//   message   made of what is staged, while the process goes on; then the next capture may come
//
// A capture of which no message is made loses nothing: what it staged stays, the next one adds to
// it. Copies may be made in rounds before the pause, while the process goes on; the pause is then
// for what changed since the last round.
//
// Thread safety: one thread at a time; marks (ObjectMarks) by any.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "checkpoint/message/byte_buffer.h"
#include "checkpoint/message/image.h"
#include "checkpoint/message/message_writer.h"
#include "checkpoint/outcome.h"
#include "checkpoint/state/image_child.h"
#include "checkpoint/state/named_region.h"
#include "checkpoint/state/object_marks.h"
#include "checkpoint/state/staging.h"
#include "checkpoint/state/statistics.h"
#include "checkpoint/tracking/page_tracker.h"

namespace auxin::checkpoint {

namespace injection {
struct Tables;
}

struct StateOptions {
  // kAutomatic: what AUXIN_CHECKPOINT_METHOD says, else the best.
  TrackingMethod method = TrackingMethod::kAutomatic;
  bool adaptive = true;
  MessageOptions message;
  // Bits that turn in the tables are found by the next call: kDamaged, from then on.
  bool check_tables = false;
  // Memory that can't be read is kMemory, and not a signal.
  bool read_carefully = false;
  // Called around the pause: nothing may store into the state in between. May be null. In
  // between nothing is allocated and no lock is taken, so threads may be stopped anywhere.
  void (*pause)(void* context) = nullptr;
  void (*resume)(void* context) = nullptr;
  void* pause_context = nullptr;
};

enum class CaptureKind { kBase, kIncrement };

class NamedState {
 public:
  // kUnavailable (with the reason), kWrongCall (the environment names no method), kNoMemory.
  static Expected<std::unique_ptr<NamedState>> create(const StateOptions& options);
  ~NamedState();

  // `address` needs no alignment; ids are the process's own. kOverlap, kWrongCall (empty), kBusy,
  // kNoMemory.
  Outcome add_range(uint64_t id, void* address, uint64_t size_bytes);
  // *mark: to be set to 1 after each change of the object.
  Outcome add_object(uint64_t id, void* object, uint64_t size_bytes, uint8_t** mark);
  // kUnknown, kBusy.
  Outcome remove(uint64_t id);
  // The range has another size now, or is elsewhere: then it is told whole.
  Outcome resize(uint64_t id, void* address, uint64_t size_bytes);

  // The first one is a base, whatever `kind` says. kBusy. kMemory: the last message stays valid,
  // and what changed since then is in the next capture that succeeds.
  Outcome capture(CaptureKind kind, uint32_t rounds = 0);
  // Of the capture; waits for the child that holds it. kWrongCall (no capture), kNoMemory,
  // kInputOutput (the child was killed): the capture is let go of, what it staged stays.
  Expected<ByteBuffer> message();
  bool captured() const { return captured_; }
  void abandon();

  // Writes the image into the regions: all of the same names and sizes, or nothing is written.
  // Increments then follow it. kUnknown, kSize, kBusy, kEmpty.
  Outcome restore(const Image& image);

  // kDamaged, if tables are checked; else kOk.
  Outcome check_tables() const;

  void set_user_word(uint64_t word) {
    const Call call(*this);
    user_word_ = word;
  }
  uint64_t user_word() const { return user_word_; }
  const ChainPosition& position() const { return position_; }
  uint64_t named_bytes() const;
  TrackingMethod method() const { return choice_.method; }
  const StateStatistics& statistics() const { return statistics_; }

 private:
  friend struct injection::Tables;  // turns bits in them
  // One call of the above, from beginning to end: the tables are compared, and noted again.
  struct Call {
    explicit Call(NamedState& state);
    ~Call();
    Outcome outcome;
    NamedState& state_;
  };

  explicit NamedState(const StateOptions& options) : options_(options) {}
  Outcome open();
  bool compares() const {
    return choice_.method == TrackingMethod::kFork || choice_.method == TrackingMethod::kFull;
  }
  bool forks() const { return choice_.method == TrackingMethod::kFork; }

  Outcome refuse_if_busy() const;
  Outcome check_room(uint64_t id, uint64_t address, uint64_t size_bytes) const;
  bool page_is_shared(const NamedRegion& region, uint64_t page) const;
  Outcome track(const NamedRegion& region);
  void untrack(const NamedRegion& region);
  void sort_by_address();
  bool make_room();

  void stage(const PageRun& run);
  void add_task(const ImageChild::Task& task);
  bool copy_pages(const NamedRegion& region, uint64_t first, uint64_t count, char* to);
  void stage_pages(NamedRegion& region, uint64_t first, uint64_t count, RunKind kind);
  void look_and_stage();
  void note_reason();
  void begin_base();
  uint64_t drop_unchanged();
  void write_region(NamedRegion& region, MessageWriter& writer);
  Expected<ByteBuffer> write_message();
  void note_digests();
  void forget_digests();
  void clear_staged();
  uint64_t digest_of_tables() const;
  Outcome write_regions(const Image& image);
  Outcome unreadable(uint64_t address);

  const StateOptions options_;
  MethodChoice choice_{};
  PageTracker tracker_;
  std::map<uint64_t, std::unique_ptr<NamedRegion>> regions_;
  std::vector<NamedRegion*> by_address_;
  size_t cursor_ = 0;           // into by_address_, while runs come in ascending order
  ObjectMarks objects_;
  std::map<uint64_t, uint32_t> object_of_id_;
  std::set<uint64_t> removed_;  // known to receivers
  Staging staging_;
  ImageChild child_;
  MappedArray<ImageChild::Task> tasks_;  // for the child: what to look at
  uint64_t task_count_ = 0;
  ChainPosition position_;
  uint64_t user_word_ = 0;
  uint64_t taken_at_ns_ = 0;
  bool captured_ = false;
  bool whole_ = true;           // what is staged is a base: everything
  uint64_t unreadable_ = 0;     // an address, in the capture under way; 0: none
  uint64_t tables_digest_ = 0;
  uint32_t calls_ = 0;          // under way, one within the other
  StateStatistics statistics_;
};

}  // namespace auxin::checkpoint
