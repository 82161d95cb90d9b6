// SPDX-License-Identifier: Apache-2.0
//
// Takes the states of objects by their own methods (FT::Checkpointable, FT::Updateable), and gives
// them to objects of another process. Requests are ordinary ones: in a group they are ordered and
// logged as any client's, and every replica executes them.
//
//   take:     is_a, get_state (or get_update where the chain goes on), a file beside, its name
//   deliver:  is_a, again until the server serves; set_state; each set_update
//
// An update that was asked for and is not in the file would be missing for ever: a mark stands
// while objects are asked, and whoever finds one takes whole states. An object forgets what it
// gave, to whomever it gave it, so the mark belongs to the objects, not to a file: it stays when
// their states went into a file apart from the one that updates follow.
//
// Thread safety: none; each blocks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/portable/portable_image.h"
#include "stmemu/result.h"

namespace auxin::checkpoint {

inline constexpr char kCheckpointableId[] = "IDL:omg.org/FT/Checkpointable:1.0";
inline constexpr char kUpdateableId[] = "IDL:omg.org/FT/Updateable:1.0";

// After so many updates a state is whole again, or when they are larger than the state.
inline constexpr size_t kMostUpdatesInARow = 16;

struct TakingOptions {
  uint64_t lineage = 0;
  bool whole = false;  // no updates
  bool apart = false;  // the file is not the one that updates follow
  // Lock and mark stand at this path with an ending; the same for whoever takes the same objects'
  // states. Empty: the file's.
  std::string notes;
  int64_t patience_ms = 10'000;
};

// Into the file at `path`; on an error it is as it was.
Result<PortableImage> take_portable_image(const std::string& path,
                                          const std::vector<std::string>& references,
                                          const TakingOptions& options);

// `references`: where the objects are now, in the image's order; empty: where the image says. The
// server may need up to `patience_ms` to serve them. `notes`: as above, for objects whose states
// are taken too; empty: nobody has taken any yet. An error says how much was given.
Result<bool> deliver_portable_image(const PortableImage& image,
                                    const std::vector<std::string>& references,
                                    int64_t patience_ms, const std::string& notes = {});

}  // namespace auxin::checkpoint
