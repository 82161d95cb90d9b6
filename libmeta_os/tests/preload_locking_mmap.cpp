// SPDX-License-Identifier: Apache-2.0
//
// libauxin_locking_mmap_test.so: stands before libc's mmap as some allocators do (tcmalloc), and
// synchronises in it. A thread that comes in again while it is inside ends the process. It knows
// nothing of Auxin.
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
pthread_once_t once = PTHREAD_ONCE_INIT;
unsigned long calls = 0;
thread_local bool inside = false;

}  // namespace

extern "C" __attribute__((visibility("default"))) void* mmap(void* address, size_t size,
                                                              int protection, int flags, int fd,
                                                              off_t offset) noexcept {
  if (inside) __builtin_trap();
  inside = true;
  pthread_once(&once, [] {});
  pthread_mutex_lock(&mutex);
  ++calls;
  pthread_mutex_unlock(&mutex);
  pthread_rwlock_rdlock(&lock);
  pthread_rwlock_unlock(&lock);
  inside = false;
  return reinterpret_cast<void*>(
      syscall(SYS_mmap, address, size, protection, flags, long{fd}, offset));
}

// A hook is the first of all, and it is entered from mmap.
__attribute__((constructor)) static void map_something() {
  munmap(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
}
