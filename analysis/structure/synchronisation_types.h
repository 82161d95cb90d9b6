// SPDX-License-Identifier: Apache-2.0
//
// Which types are synchronisation objects, by name: POSIX', C++'s, omniORB's, Boost's and Qt's.
//
// Thread safety: functions without state.
#pragma once

#include <cstdint>
#include <string_view>

namespace auxin::analysis {

enum class SynchronisationKind : uint8_t {
  kNone, kMutex, kRwlock, kSemaphore, kSpin, kBarrier, kOnce, kCondition
};
const char* name_of(SynchronisationKind kind);
bool parse(std::string_view text, SynchronisationKind* kind);

// Of a member or variable of this type. What holds or points to such an object counts too
// ("std::vector<std::mutex>", "omni_mutex *"); what only locks one does not ("std::lock_guard<…>"),
// nor does a function type. `written`: as in the source; POSIX' once_t is an `int` otherwise.
SynchronisationKind synchronisation_of_type(std::string_view written, std::string_view canonical);

// Of a function by its demangled name, or its type's: it belongs to the implementation of locks, so
// that who called it is who locks ("std::mutex::lock()", "omni_mutex_lock::omni_mutex_lock(…)").
bool is_lock_wrapper(std::string_view function);

}  // namespace auxin::analysis
