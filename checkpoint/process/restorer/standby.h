// SPDX-License-Identifier: Apache-2.0
//
// A warm standby: the image's memory is in its place, and newer segments are applied to it as they
// come, until the process that it stands by for has ended or the word that the image names says
// that its owner has and none of its threads is in a system call any more. Then the process may be
// there for some time, but it does nothing.
#pragma once

#include "checkpoint/process/restorer/segment.h"

namespace auxin::restorer {

struct StandbyOptions {
  int wait_for = -1;      // descriptor: a pidfd, or whatever can be read when it is time
  int updates_from = -1;  // descriptor of a pipe: paths of the next segments, each ends with a zero
};

// Checks that a segment fits this machine and its files; ends the program otherwise.
using CheckBinding = void (*)(const Segment& segment);

// `last`: what memory is now. `free_address`: segments can be mapped from there on. Blocks until it
// is time; the segment that memory is then. Segments whose paths were written before the wait's end
// are applied first. A segment is applied whole, or the program ends before it has begun.
Segment stand_by(const StandbyOptions& options, Segment last, uint64_t free_address,
                 CheckBinding check_binding);

}  // namespace auxin::restorer
