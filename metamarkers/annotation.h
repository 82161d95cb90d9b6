// SPDX-License-Identifier: Apache-2.0
//
// Auxin's side of the annotation header (include/auxin/metamarker.h): join points that a middleware
// states itself, and the requests that it says its threads work for.
//
// An annotation becomes a JoinPoint like a map's (interned by name and role, never freed), and goes
// through the same Actions.
//
// Thread safety: any thread, no locks. The first use of a name allocates; that is base-level code.
#pragma once

#include <cstdint>

#include "metamarkers/marker_stack.h"

namespace auxin::markers {

// Marker::join_point of annotations: from here on. Below: stubs (interception.h).
inline constexpr uint16_t kFirstAnnotation = 0x1000;
inline constexpr int kMaxAnnotations = 256;  // names; more share one nameless entry per role

// Never null; "" for an unknown index.
const char* annotation_name(uint16_t index);

// The request that the calling thread was said to work for (auxin_request_begin), innermost first.
struct AnnotatedRequest {
  int fd;
  uint32_t request_id;
};
inline constexpr int kMaxNestedRequests = 16;  // deeper ones are counted, not kept
const AnnotatedRequest* annotated_request();   // null: none

// Called at auxin_request_begin and _end, on the thread concerned, if set.
struct RequestAnnotations {
  void (*begin)(int fd, uint32_t request_id);
  void (*end)(int fd, uint32_t request_id);
};
void set_request_annotations(const RequestAnnotations& annotations);

}  // namespace auxin::markers
