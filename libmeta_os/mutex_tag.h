// SPDX-License-Identifier: Apache-2.0
//
// The verdict on a mutex, kept in the mutex itself.
//
// glibc leaves `__data.__list` of a mutex that is not robust unused (16 bytes at offset 24).
// The first word holds the tag, the second the number of ordered acquisitions so far. Construction
// (pthread_mutex_init, PTHREAD_MUTEX_INITIALIZER, std::mutex) zeroes both, so the tag, not the
// address, is the identity: a heap may reuse an address, differently in each replica.
//
// Tag word:  63..48 magic | 47 contention point | 46..40 reserved 0 | 39..32 site class |
//            31..0 identity (0: none yet)
// The magic makes the word a non-canonical address: it can't be mistaken for a list pointer.
//
// Thread safety: tag by atomic compare-and-swap; the count changes only while the mutex is held.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace auxin::os {

inline constexpr uint64_t kTagMagic = 0xA0C5ull << 48;
inline constexpr uint64_t kTagMagicMask = 0xFFFFull << 48;
inline constexpr uint64_t kTagContentionPoint = 1ull << 47;
inline constexpr int kTagClassShift = 32;
inline constexpr uint64_t kTagIdentityMask = 0xFFFFFFFFull;

static_assert(offsetof(pthread_mutex_t, __data.__list) == 24);
static_assert(sizeof(pthread_mutex_t) == 40);

inline std::atomic_ref<uint64_t> mutex_tag(pthread_mutex_t* mutex) {
  return std::atomic_ref<uint64_t>(
      *reinterpret_cast<uint64_t*>(reinterpret_cast<char*>(mutex) + 24));
}

// Acquisitions of a contention point so far (see above).
inline std::atomic_ref<uint64_t> mutex_count(pthread_mutex_t* mutex) {
  return std::atomic_ref<uint64_t>(
      *reinterpret_cast<uint64_t*>(reinterpret_cast<char*>(mutex) + 32));
}

inline bool tag_valid(uint64_t tag) { return (tag & kTagMagicMask) == kTagMagic; }
inline bool tag_selected(uint64_t tag) { return (tag & kTagContentionPoint) != 0; }
inline unsigned tag_class(uint64_t tag) { return (tag >> kTagClassShift) & 0xFF; }
inline uint32_t tag_identity(uint64_t tag) { return static_cast<uint32_t>(tag); }

}  // namespace auxin::os
