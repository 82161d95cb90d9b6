// SPDX-License-Identifier: Apache-2.0
//
// A recording joined to the structure of its sources: which function of the sources each frame is,
// which members and variables each recorded lock can be, and what the sources do that the recording
// did not come by.
//
// Thread safety: a value. The structure must outlive it.
#pragma once

#include <string>
#include <vector>

#include "analysis/graph/objects.h"
#include "analysis/structure/function_index.h"
#include "analysis/structure/structure.h"
#include "analysis/trace/trace.h"

namespace auxin::analysis {

// A function that mentions a synchronisation object which the recording has not seen it use.
struct UnseenUse {
  uint32_t function = 0;
  std::string object;                // "bank::Account::mutex_"
  uint32_t line = 0;
  std::vector<uint32_t> called_by;   // from a recorded function down to it: static calls
};

// A synchronisation object of the program that no recorded one can be.
struct UnseenObject {
  std::string name, type;
  Place place;
};

struct StructureJoin {
  const Structure* structure = nullptr;
  std::vector<uint32_t> function_of_frame;           // kNoFunction: none
  std::vector<bool> seen;                            // per function: it is in some recorded path
  std::vector<std::vector<std::string>> of_object;   // per object of the trace: what it can be
  std::vector<UnseenUse> unseen_uses;
  std::vector<UnseenObject> unseen_objects;
  std::vector<std::string> remarks;

  uint64_t seen_functions() const;
  const StructureFunction* function(uint32_t frame) const;  // null: none
};

StructureJoin join(const Structure& structure, const Trace& trace, const TraceObjects& objects);

}  // namespace auxin::analysis
