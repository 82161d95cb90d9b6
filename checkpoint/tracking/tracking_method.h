// SPDX-License-Identifier: Apache-2.0
//
// The ways to know which pages changed, what this kernel offers, and which one is taken and why.
//
// Thread safety: any thread. Raw system calls only: no memory is allocated, no lock taken.
#pragma once

#include <cstdint>

namespace auxin::checkpoint {

enum class TrackingMethod : uint32_t {
  kAutomatic = 0,  // the best that the kernel offers
  kWpAsync = 1,    // userfaultfd's asynchronous write protection, and PAGEMAP_SCAN (Linux 6.7)
  kFault = 2,      // mprotect, and a handler of SIGSEGV
  kFork = 3,       // a forked child holds the image; it compares
  kFull = 4,       // everything is copied; what did not change is found by comparison
};
inline constexpr uint32_t kTrackingMethodCount = 5;

// "automatic", "wp-async", "fault", "fork", "full".
const char* name_of(TrackingMethod method);
// False: no method is called so. `name` may be null.
bool method_of_name(const char* name, TrackingMethod* method);

// Tries the kernel's calls on a page of its own. Null: they work. Otherwise a short sentence that
// says what is missing, valid for ever.
const char* why_not_wp_async();

struct MethodChoice {
  TrackingMethod method;  // never kAutomatic
  const char* reason;     // why this one; valid for ever
  bool available;         // false: it was asked for by name, and the kernel lacks it
};

// A method that is asked for by name is never replaced by another one.
MethodChoice choose_method(TrackingMethod wanted);

}  // namespace auxin::checkpoint
