// SPDX-License-Identifier: Apache-2.0
//
// Error detection of the public header.
#include "checkpoint/detection/detection.h"

#include "checkpoint/detection/guarded_memory.h"
#include "checkpoint/detection/self_test.h"
#include "checkpoint/interface/call.h"
#include "checkpoint/interface/saving_state.h"
#include "checkpoint/log/event_log.h"

using namespace auxin::checkpoint;

extern "C" {

enum auxin_checkpoint_status auxin_checkpoint_detect(uint32_t what) {
  return call([&]() -> Outcome {
    if ((what & ~static_cast<uint32_t>(AUXIN_CHECKPOINT_DETECT_ALL)) != 0) {
      return wrong_call("there is no such detection");
    }
    if ((what & AUXIN_CHECKPOINT_DETECT_OVERRUNS) != 0) tell_of_overruns();
    detection = what;
    return Outcome::ok();
  });
}

uint32_t auxin_checkpoint_detection_of_process(void) { return detection; }

enum auxin_checkpoint_status auxin_checkpoint_self_test(auxin_checkpoint_state* state) {
  return call([&]() -> Outcome {
    for (const SelfTestPart& part : self_test()) {
      if (part.good) continue;
      EventLog::tell_detected(AUXIN_CHECKPOINT_DAMAGED, 0);
      return failure(AUXIN_CHECKPOINT_DAMAGED, part.name + ": " + part.sentence);
    }
    if (state == nullptr) return Outcome::ok();
    if (Outcome living = demand_living(state, HandleKind::kState); !living) return living;
    return state->state.with([](NamedState& of) { return of.check_tables(); });
  });
}

}  // extern "C"
