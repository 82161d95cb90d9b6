// SPDX-License-Identifier: Apache-2.0
//
// Observation: seeing every call of the hook table, whether it matters to a style or not.
//
// A hook's fast path goes to libc and tells nobody. Where everything is to be seen (a recording) or
// disturbed (a schedule that is to be tried), an Observer is put in force: the loaded modules'
// references to the hooks are pointed at wrappers that call the observer before and after the hook.
// Without an observer nothing of this is in anybody's way.
//
// The hook below a wrapper sees the call site of the base level (AUXIN_CALL_SITE), as ever. Calls
// at the meta level, calls inside an observer, and calls through pointers that the program got from
// dlsym are not observed.
//
// Thread safety: an observer is called on any thread. observe() serialises itself.
#pragma once

#include <array>
#include <cstdint>

#include "libmeta_os/call_rows.h"
#include "libmeta_os/facets.h"

namespace auxin::os {

struct ObservedCall {
  uint16_t row;
  std::array<uint64_t, 4> arguments;  // the first ones, as words; 0 where there are fewer
  CallSite site;
  uintptr_t frame;  // the caller's stack pointer at its call: the word below is the return address
};

class Observer {
 public:
  virtual ~Observer() = default;
  // What before() wants to have in after() of the same call.
  using Kept = std::array<uint64_t, 4>;

  // The families that are to be observed. Constant.
  virtual uint32_t families() const = 0;
  // Before the call, on its thread. May block. `kept` is all zero.
  virtual void before(const ObservedCall& call, Kept& kept) = 0;
  // After it. `result` as the call returned it (`left`: 0, because the thread is unwound through
  // it); `error`: errno then. Must not be left by cancellation.
  virtual void after(const ObservedCall& call, const Kept& kept, int64_t result, int error,
                     bool left) = 0;
};

// Two observers may be in force at once. The disturber's before() comes first and its after() last,
// so that a recorder's times are those of the call.
enum class ObserverPlace : uint8_t { kDisturber, kRecorder };

// Puts an observer in force, in all modules loaded now; null: takes the one of that place out. The
// observer must live for ever (a thread may be in it). Not in a hook: allocates.
void observe(Observer* observer, ObserverPlace place = ObserverPlace::kRecorder);
// After a dlopen: the new modules' references too.
void observe_new_modules();

}  // namespace auxin::os
