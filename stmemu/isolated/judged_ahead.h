// SPDX-License-Identifier: Apache-2.0
//
// What the controller does for a commit before it is asked: a client hints which object it is about
// to change (channel.h), and the controller, which has nothing to do meanwhile, fetches and judges
// its two copies. The commit then looks at the headers alone, if they are still the same.
//
// A hint is no request: it is located and judged like anything else that a client says, nothing is
// mended or stored because of it, and what was judged counts for the next commit of its channel
// only. Between the two only the controller itself could have stored into the banks.
//
// Thread safety: the controller's thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "stmemu/memory/object.h"

namespace auxin::stm {

inline constexpr uint64_t kFetchedBytes = 2048;  // of an object, ahead
inline constexpr uint64_t kLineBytes = 64;

// Whether both copies are good and equal.
inline bool copies_are_sound(const PhysicalMemory& memory, const Place& place,
                             ObjectHeader* header) {
  const Banks& banks = memory.banks();
  return good_copy(memory, banks.a, place, header) &&
         memcmp(header, banks.b.at(place.header), sizeof(*header)) == 0 &&
         (!contents_count(*header) ||
          memcmp(banks.a.at(place.contents), banks.b.at(place.contents),
                 whole_words(header->size_bytes())) == 0);
}

class JudgedAhead {
 public:
  // `request`: which one of which channel comes next; unlike that of any other channel.
  struct Expected {
    const void* channel = nullptr;
    uint64_t request = 0;
    bool operator==(const Expected&) const = default;
  };

  // The object whose header is at `header`, if there is one and it is sound.
  void judge(const PhysicalMemory& memory, uint64_t header, const Expected& before) {
    Place place;
    if (!locate_header(memory, header, &place)) return;
    fetch(memory, place, kFetchedBytes);
    Entry& entry = entry_of(header);
    entry = {};
    if (copies_are_sound(memory, place, &entry.judged)) {
      entry.header = header;
      entry.generation = place.generation;
      entry.before = before;
    }
  }
  // Begins to fetch both copies, to be stored into. (In line: a function that only fetches has no
  // effect that the compiler knows of, so a call of it would be left out.)
  [[gnu::always_inline]] static void fetch(const PhysicalMemory& memory, const Place& place,
                                           uint64_t most_bytes) {
    const Banks& banks = memory.banks();
    __builtin_prefetch(banks.a.at(place.header), 1);
    __builtin_prefetch(banks.b.at(place.header), 1);
    const uint64_t size = std::min(place.capacity, most_bytes);
    for (uint64_t at = 0; at < size; at += kLineBytes) {
      __builtin_prefetch(banks.a.at(place.contents + at), 1);
      __builtin_prefetch(banks.b.at(place.contents + at), 1);
    }
  }

  // Whether the object was judged for this request and is as it was. Once for each judgement.
  bool takes(const PhysicalMemory& memory, const Place& place, const Expected& before,
             ObjectHeader* header) {
    Entry& entry = entry_of(place.header);
    if (entry.header != place.header || entry.generation != place.generation ||
        entry.before != before) {
      return false;
    }
    entry.header = 0;
    const Banks& banks = memory.banks();
    if (memcmp(&entry.judged, banks.a.at(place.header), sizeof(ObjectHeader)) != 0 ||
        memcmp(&entry.judged, banks.b.at(place.header), sizeof(ObjectHeader)) != 0) {
      return false;
    }
    *header = entry.judged;
    return true;
  }

 private:
  struct Entry {
    uint64_t header = 0;  // its address; 0: nothing
    uint64_t generation = 0;
    Expected before;
    ObjectHeader judged = {};
  };
  Entry& entry_of(uint64_t header) {
    return entries_[header / sizeof(ObjectHeader) % entries_.size()];
  }

  std::array<Entry, 64> entries_;
};

}  // namespace auxin::stm
