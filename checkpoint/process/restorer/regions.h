// SPDX-License-Identifier: Apache-2.0
//
// The regions of an image in the address space: made once, and changed as newer segments come.
#pragma once

#include "checkpoint/process/restorer/segment.h"

namespace auxin::restorer {

// Maps all regions of the last segment, writable where pages are to come.
void map_regions(const Segment& last);

// From what map_regions made of `before`: what `now` has no more is unmapped, what is the same
// memory stays with its contents, what is new is mapped; writable where pages are to come.
void change_regions(const Segment& before, const Segment& now);

// Protections as they were.
void protect_regions(const Segment& last);

// The first region that ends behind `address`.
uint32_t region_at(const Segment& last, uint64_t address);

}  // namespace auxin::restorer
