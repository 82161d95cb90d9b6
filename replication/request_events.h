// SPDX-License-Identifier: Apache-2.0
//
// Request-lifecycle events on their way to the meta-objects: the user's own, if one is loaded.
// Where none is, each announcement costs one load.
//
// Thread safety: any thread. Source: paper 004, slides 18 and 38.
#pragma once

#include <pthread.h>

#include <cstdint>

#include "auxin/meta_request_lifecycle.h"

namespace auxin::replication {

// The user's meta-object; null: none. Set once at start.
extern MetaRequestLifecycle* meta_object;
// Loads it (dlopen + auxin_meta_object). Returns null and leaves a sentence in `error` on failure.
MetaRequestLifecycle* load_meta_object(const char* path, char* error, unsigned error_size);

enum class ContentionStage { kBefore, kAfter };
void announce_contention_point_slow(pthread_mutex_t* mutex, ContentionStage stage);

inline void announce_contention_point(pthread_mutex_t* mutex, ContentionStage stage) {
  if (__builtin_expect(meta_object != nullptr, 0)) announce_contention_point_slow(mutex, stage);
}

// Bytes go out on a connection on behalf of the thread's request: its reply has begun.
void announce_reply_bytes_slow(uint64_t connection);
inline void announce_reply_bytes(uint64_t connection) {
  if (__builtin_expect(meta_object != nullptr, 0)) announce_reply_bytes_slow(connection);
}

// The request that the calling thread works for; false: none.
bool current_request(RequestId* id);

}  // namespace auxin::replication
