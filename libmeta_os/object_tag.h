// SPDX-License-Identifier: Apache-2.0
//
// The verdict on a read-write lock or a semaphore, kept in the object itself, as mutex_tag.h does
// for mutexes and with the same tag word.
//
//   pthread_rwlock_t (56 bytes): bytes 40..47 (`__pad2`) hold the tag, bytes 16..23 (`__pad3`,
//     `__pad4`) are free for a count. Construction zeroes both.
//   sem_t (32 bytes): libc uses the first 16; bytes 16..23 hold the tag, 24..31 are free for a
//     count. sem_init does not zero them, its hook does.
// Objects shared between processes are never tagged. Spin locks, barriers and once controls have no
// room: site_verdict.h.
//
// Thread safety: as mutex_tag.h.
#pragma once

#include <pthread.h>
#include <semaphore.h>

#include "libmeta_os/mutex_tag.h"

namespace auxin::os {

static_assert(sizeof(pthread_rwlock_t) == 56);
static_assert(offsetof(pthread_rwlock_t, __data.__pad2) == 40);
static_assert(offsetof(pthread_rwlock_t, __data.__pad3) == 16);
static_assert(sizeof(sem_t) == 32);

inline std::atomic_ref<uint64_t> word_at(void* object, size_t offset) {
  return std::atomic_ref<uint64_t>(
      *reinterpret_cast<uint64_t*>(static_cast<char*>(object) + offset));
}

inline std::atomic_ref<uint64_t> rwlock_tag(pthread_rwlock_t* lock) { return word_at(lock, 40); }
inline std::atomic_ref<uint64_t> rwlock_count(pthread_rwlock_t* lock) { return word_at(lock, 16); }
inline std::atomic_ref<uint64_t> semaphore_tag(sem_t* semaphore) { return word_at(semaphore, 16); }
inline std::atomic_ref<uint64_t> semaphore_count(sem_t* semaphore) {
  return word_at(semaphore, 24);
}

// Has the mutex no room for a tag (robust), or is it another process's too? libc says the latter of
// every robust one, so whether a robust mutex is really shared can't be known.
inline bool mutex_is_robust(const pthread_mutex_t* mutex) {
  return (mutex->__data.__kind & 0x10) != 0;
}
inline bool mutex_is_shared(const pthread_mutex_t* mutex) {
  return (mutex->__data.__kind & 0x80) != 0;
}
inline bool rwlock_is_shared(const pthread_rwlock_t* lock) { return lock->__data.__shared != 0; }
// glibc's struct new_sem: { uint64_t data; int private; int pad; }, private = 0 or 128 (shared).
inline bool semaphore_is_shared(sem_t* semaphore) {
  return static_cast<uint32_t>(word_at(semaphore, 8).load(std::memory_order_relaxed)) != 0;
}

}  // namespace auxin::os
