// SPDX-License-Identifier: Apache-2.0
//
// What is in a memory and whether it is sound, by looking only: nothing is locked, stored or
// mended, so it can be done while others use the memory. What they have open just then is left out
// of the judgement; what differs is looked at again before it is called damage.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "stmemu/memory/object.h"

namespace auxin::stm {

enum class Verdict : uint8_t {
  kSound,
  kOneBad,     // one bank's copy is bad or stale: the next to open it, or a repair, mends it
  kLost,       // both are bad
  kInFlight,   // a transaction has it in hand, or had it when its program died
};

struct ObjectSurvey {
  Place place;
  ObjectHeader header;  // of the better copy; zero if lost
  Verdict verdict;
};

struct Survey {
  uint64_t objects = 0, object_bytes = 0;  // live ones of programs
  uint64_t own_objects = 0;                // live ones of the memory itself
  uint64_t descriptors = 0;
  uint64_t free_pages = 0, largest_free_run = 0;
  uint64_t in_flight = 0;                  // transactions that had begun to change something
  uint64_t in_flight_objects = 0;
  uint64_t damaged = 0, lost = 0;          // records of any kind
  std::vector<std::string> damage;         // a sentence for each, up to Findings::kMaxDetails
};

// `each`, if given, sees every live object and every one that is damaged.
Survey survey(PhysicalMemory& memory, const std::function<void(const ObjectSurvey&)>& each = {});

// The catalogue's entries, as they were committed: a name, and what has it in a space
// (catalogue.h).
struct NamedReference {
  std::string name;
  uint64_t reference;
  uint64_t space;  // 0: a root of the programs' own
};
std::vector<NamedReference> catalogue_entries(PhysicalMemory& memory);

}  // namespace auxin::stm
