// SPDX-License-Identifier: Apache-2.0
//
// The tests of this room run once with each method: CTest sets AUXIN_CHECKPOINT_METHOD.
#pragma once

#include <cstdlib>

#include "checkpoint/tracking/tracking_method.h"

namespace auxin::checkpoint::test {

inline TrackingMethod method_under_test() {
  TrackingMethod method = TrackingMethod::kAutomatic;
  const char* name = std::getenv("AUXIN_CHECKPOINT_METHOD");
  if (name != nullptr && !method_of_name(name, &method)) std::abort();
  return method;
}

}  // namespace auxin::checkpoint::test
