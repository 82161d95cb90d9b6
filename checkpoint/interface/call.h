// SPDX-License-Identifier: Apache-2.0
//
// What every function of the public header does around its work: the sentence about an error is
// kept for the thread, exceptions of the standard library become a status.
#pragma once

#include <new>
#include <system_error>

#include "checkpoint/outcome.h"

namespace auxin::checkpoint {

// Keeps the sentence; returns the status.
Status remember(const Outcome& outcome);

template <typename Work>
Status call(Work&& work) {
  try {
    return remember(work());
  } catch (const std::bad_alloc&) {
    return remember(failure(AUXIN_CHECKPOINT_NO_MEMORY, "no memory"));
  } catch (const std::system_error& error) {
    return remember(failure(AUXIN_CHECKPOINT_NO_MEMORY, error.what()));
  }
}

inline Outcome wrong_call(const char* why) { return failure(AUXIN_CHECKPOINT_WRONG_CALL, why); }

}  // namespace auxin::checkpoint
