// SPDX-License-Identifier: Apache-2.0
#include "auxin/stm_types.h"

namespace auxin::stm {

const char* name_of(Mode mode) {
  switch (mode) {
    case Mode::kChecked: return "checked";
    case Mode::kWindow: return "window";
    case Mode::kIsolated: return "isolated";
  }
  return "unknown";
}

const char* name_of(Durability durability) {
  switch (durability) {
    case Durability::kProcess: return "process";
    case Durability::kPower: return "power";
  }
  return "unknown";
}

const char* name_of(Status status) {
  switch (status) {
    case Status::kOk: return "ok";
    case Status::kConflict: return "conflict";
    case Status::kDeadlock: return "deadlock";
    case Status::kNotOpen: return "not open";
    case Status::kNotStable: return "not a stable object";
    case Status::kFreed: return "freed";
    case Status::kOutOfBounds: return "out of bounds";
    case Status::kForeign: return "foreign";
    case Status::kNotActive: return "not active";
    case Status::kNested: return "nested";
    case Status::kWrongThread: return "wrong thread";
    case Status::kNoRight: return "no right";
    case Status::kEmpty: return "empty";
    case Status::kTooLarge: return "too large";
    case Status::kFull: return "full";
    case Status::kBusy: return "busy";
    case Status::kDamaged: return "damaged";
    case Status::kDetached: return "detached";
    case Status::kUnreachable: return "unreachable";
    case Status::kRefused: return "refused";
    case Status::kStandby: return "standby";
  }
  return "unknown";
}

}  // namespace auxin::stm
