// SPDX-License-Identifier: Apache-2.0
//
// What every function of the public header does around its work: the sentence about an error is
// kept for the thread, exceptions of the standard library become a status, handles are looked at.
#pragma once

#include <new>
#include <system_error>

#include "checkpoint/detection/living_handles.h"
#include "checkpoint/log/event_log.h"
#include "checkpoint/outcome.h"

namespace auxin::checkpoint {

// Keeps the sentence; returns the status.
Status remember(const Outcome& outcome);

// `handles`: what the caller gave, which must live and be of its kind where that is looked at.
template <typename Work, typename... Handles>
Status call(Work&& work, const Handles*... handles) {
  const WithinService within;
  try {
    Outcome living;
    static_cast<void>(((living = demand_living(handles, Handles::kKind)) && ...));
    return remember(living ? work() : living);
  } catch (const std::bad_alloc&) {
    return remember(failure(AUXIN_CHECKPOINT_NO_MEMORY, "no memory"));
  } catch (const std::system_error& error) {
    return remember(failure(AUXIN_CHECKPOINT_NO_MEMORY, error.what()));
  }
}

inline Outcome wrong_call(const char* why) { return failure(AUXIN_CHECKPOINT_WRONG_CALL, why); }

}  // namespace auxin::checkpoint
