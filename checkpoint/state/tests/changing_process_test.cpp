// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever a process does with its memory between captures, the receiver has each region as
// it was in the pause.
// Method: a process that at random stores, reads, drops (MADV_DONTNEED), unmaps, maps anew, moves
// (mremap), grows, shrinks, adds and removes its regions, against what its memory holds at each
// capture (what is not mapped counts as zeros). AUXIN_SEED repeats a run, AUXIN_ROUNDS=N lengthens
// it.
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "checkpoint/state/tests/state_fixture.h"
#include "checkpoint/tests/pages.h"

namespace auxin::checkpoint {
namespace {

constexpr uint64_t kAreaPages = 700;  // above the two mebibytes of a page table
constexpr uint64_t kAreas = 3;

class ChangingProcessTest : public test::StateTest {
 protected:
  struct Area {
    test::Pages pages{kAreaPages};
    std::vector<bool> mapped = std::vector<bool>(kAreaPages, true);
    bool named = false;
    uint64_t offset = 0, size_bytes = 0;  // of the region
  };

  uint64_t below(uint64_t bound) { return random_() % bound; }

  void change(uint64_t id) {
    Area& area = areas_[id];
    const uint64_t first = below(kAreaPages);
    uint64_t count = below(8) + 1;
    if (below(10) == 0) count = below(kAreaPages) + 1;
    count = std::min(count, kAreaPages - first);
    switch (below(12)) {
      case 0: return void(madvise(area.pages.at(first), count * kPageBytes, MADV_DONTNEED));
      case 1:
        area.pages.unmap(first, count);
        return set_mapped(area, first, count, false);
      case 2:
        area.pages.map_again(first, count);
        return set_mapped(area, first, count, true);
      case 3: return move(area, first, count);
      case 4: return read(area, first, count);
      case 5: return below(4) == 0 ? name_or_forget(id) : void();
      case 6: return below(2) == 0 ? resize(id) : void();
      default: return store(area, first, count);
    }
  }

  void store(Area& area, uint64_t first, uint64_t count) {
    for (uint64_t i = first; i < first + count; ++i) {
      if (!area.mapped[i]) continue;
      area.pages.at(i)[below(kPageBytes)] = static_cast<char>(random_());
    }
  }
  void read(Area& area, uint64_t first, uint64_t count) {
    for (uint64_t i = first; i < first + count; ++i) {
      if (area.mapped[i]) seen_ += static_cast<uint64_t>(*area.pages.at(i));
    }
  }
  static void set_mapped(Area& area, uint64_t first, uint64_t count, bool mapped) {
    for (uint64_t i = first; i < first + count; ++i) area.mapped[i] = mapped;
  }
  // Pages are moved within the area: what was there is gone, where they were is unmapped.
  void move(Area& area, uint64_t first, uint64_t count) {
    const uint64_t to = below(kAreaPages - count + 1);
    if (to < first + count && first < to + count) return;
    for (uint64_t i = first; i < first + count; ++i) {
      if (!area.mapped[i]) return;
    }
    // Method fault can't know of it (fault_pages.h).
    if (state_->method() == TrackingMethod::kFault) return;
    void* moved = mremap(area.pages.at(first), count * kPageBytes, count * kPageBytes,
                         MREMAP_MAYMOVE | MREMAP_FIXED, area.pages.at(to));
    if (moved == MAP_FAILED) {  // across areas of the kernel's; part of it may have been done
      area.pages.map_again(first, count);
      area.pages.map_again(to, count);
      set_mapped(area, to, count, true);
      return;
    }
    set_mapped(area, first, count, false);
    set_mapped(area, to, count, true);
  }
  void name_or_forget(uint64_t id) {
    Area& area = areas_[id];
    if (area.named) {
      ASSERT_TRUE(state_->remove(id));
      area.named = false;
      return;
    }
    area.offset = below(3 * kPageBytes);
    area.size_bytes = below((kAreaPages - 4) * kPageBytes) + 1;
    ASSERT_TRUE(state_->add_range(id, area.pages.at(0) + area.offset, area.size_bytes));
    area.named = true;
  }
  void resize(uint64_t id) {
    Area& area = areas_[id];
    if (!area.named) return;
    area.size_bytes = below((kAreaPages - 4) * kPageBytes) + 1;
    if (below(3) == 0) area.offset = below(3 * kPageBytes);
    ASSERT_TRUE(state_->resize(id, area.pages.at(0) + area.offset, area.size_bytes));
  }

  // What the receiver must have. Reads with the process's own eyes, and so changes nothing.
  std::vector<char> memory_of(const Area& area) const {
    std::vector<char> bytes(kAreaPages * kPageBytes);
    for (uint64_t i = 0; i < kAreaPages; ++i) {
      if (area.mapped[i]) std::memcpy(&bytes[i * kPageBytes], area.pages.at(i), kPageBytes);
    }
    return {bytes.begin() + static_cast<ptrdiff_t>(area.offset),
            bytes.begin() + static_cast<ptrdiff_t>(area.offset + area.size_bytes)};
  }

  std::mt19937_64 random_;
  std::map<uint64_t, Area> areas_;
  uint64_t seen_ = 0;
};

TEST_F(ChangingProcessTest, EachImageIsTheMemory) {
  const char* text = std::getenv("AUXIN_SEED");
  const uint64_t seed =
      text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
  const char* rounds_text = std::getenv("AUXIN_ROUNDS");
  const uint64_t rounds =
      rounds_text != nullptr ? std::strtoull(rounds_text, nullptr, 0) : 150;
  std::printf("AUXIN_SEED=%llu\n", static_cast<unsigned long long>(seed));
  random_.seed(seed);
  for (uint64_t id = 1; id <= kAreas; ++id) areas_[id];
  for (uint64_t id = 1; id <= kAreas; ++id) name_or_forget(id);
  for (uint64_t round = 0; round < rounds; ++round) {
    for (uint64_t n = below(20); n > 0; --n) {
      change(below(kAreas) + 1);
      if (HasFatalFailure()) return;
    }
    std::map<uint64_t, std::vector<char>> expected;
    // Half of the time the model reads before the capture, half after.
    const bool before = below(2) == 0;
    const auto remember = [&] {
      for (const auto& [id, area] : areas_) {
        if (area.named) expected[id] = memory_of(area);
      }
    };
    if (before) remember();
    ASSERT_TRUE(state_->capture(below(20) == 0 ? CaptureKind::kBase : CaptureKind::kIncrement,
                                static_cast<uint32_t>(below(3))));
    if (!before) remember();
    for (auto& [id, area] : areas_) store(area, below(kAreaPages), 1);  // the process goes on
    receive();
    if (HasFatalFailure()) return;
    ASSERT_EQ(image_.regions().size(), expected.size()) << "round " << round;
    for (const auto& [id, bytes] : expected) {
      ASSERT_TRUE(received(id, bytes.data(), bytes.size()))
          << "region " << id << ", round " << round << ", AUXIN_SEED=" << seed;
    }
  }
}

}  // namespace
}  // namespace auxin::checkpoint
