// SPDX-License-Identifier: Apache-2.0
//
// The new process's memory becomes that of the image. After leave_own_memory nothing but the range
// of own_place.h is left of what the kernel gave this program.
#pragma once

#include "checkpoint/process/restorer/segment.h"

namespace auxin::restorer {

// Moves the vdso to its old place and unmaps everything else of this program's first memory, the
// stack it was started on included.
void leave_own_memory(const checkpoint::ImageProcess& process);

// Copies the pages of one segment to where they belong, as far as they still belong there. Ends the
// program if they are not what they were when it was written.
void fill_from(const Segment& segment, const Segment& last);

// The same check, before anything is copied: for a segment that changes memory which is good.
void check_pages(const Segment& segment);

// What the kernel knows of the address space: heap, arguments, stack.
void tell_kernel(const Segment& last);

}  // namespace auxin::restorer
