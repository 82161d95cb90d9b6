// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/interface/call.h"

#include "checkpoint/tracking/tracking_method.h"

namespace auxin::checkpoint {
namespace {

thread_local std::string last_error;

}  // namespace

Status remember(const Outcome& outcome) {
  if (!outcome) last_error = outcome.sentence;
  return outcome.status;
}

}  // namespace auxin::checkpoint

extern "C" {

const char* auxin_checkpoint_last_error(void) { return auxin::checkpoint::last_error.c_str(); }

const char* auxin_checkpoint_status_name(enum auxin_checkpoint_status status) {
  switch (status) {
    case AUXIN_CHECKPOINT_OK: return "ok";
    case AUXIN_CHECKPOINT_MALFORMED: return "malformed";
    case AUXIN_CHECKPOINT_DAMAGED: return "damaged";
    case AUXIN_CHECKPOINT_VERSION: return "version";
    case AUXIN_CHECKPOINT_FOREIGN: return "foreign";
    case AUXIN_CHECKPOINT_STALE: return "stale";
    case AUXIN_CHECKPOINT_DUPLICATE: return "duplicate";
    case AUXIN_CHECKPOINT_GAP: return "gap";
    case AUXIN_CHECKPOINT_WRONG_CALL: return "wrong call";
    case AUXIN_CHECKPOINT_UNKNOWN: return "unknown";
    case AUXIN_CHECKPOINT_OVERLAP: return "overlap";
    case AUXIN_CHECKPOINT_SIZE: return "size";
    case AUXIN_CHECKPOINT_BUSY: return "busy";
    case AUXIN_CHECKPOINT_UNAVAILABLE: return "unavailable";
    case AUXIN_CHECKPOINT_EMPTY: return "empty";
    case AUXIN_CHECKPOINT_INCOMPLETE: return "incomplete";
    case AUXIN_CHECKPOINT_NO_MEMORY: return "no memory";
    case AUXIN_CHECKPOINT_NO_SPACE: return "no space";
    case AUXIN_CHECKPOINT_TOO_LARGE: return "too large";
    case AUXIN_CHECKPOINT_INPUT_OUTPUT: return "input or output";
    case AUXIN_CHECKPOINT_MEMORY: return "memory";
  }
  return "unknown status";
}

const char* auxin_checkpoint_method_name(enum auxin_checkpoint_method method) {
  return auxin::checkpoint::name_of(static_cast<auxin::checkpoint::TrackingMethod>(method));
}

}  // extern "C"
