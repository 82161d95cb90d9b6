// SPDX-License-Identifier: Apache-2.0
//
// Which calls count as synchronisation, and which of these take something.
#pragma once

#include <string_view>

namespace auxin::analysis {

enum class Synchronisation : unsigned char {
  kNone,      // no synchronisation: it makes, destroys, or is something else
  kReleases,  // unlock, post, signal
  kAcquires,  // after it the caller has something, or knows that it has not: order can matter
};

// By the function's name, as in libmeta_os/hook_table.def.
Synchronisation synchronisation_of(std::string_view call);

}  // namespace auxin::analysis
