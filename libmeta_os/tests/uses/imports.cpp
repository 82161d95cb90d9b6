// SPDX-License-Identifier: Apache-2.0
//
// What is known by the functions of libc, libatomic and libstdc++ that it needs.
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>

namespace {
struct Large {
  long words[4];
};
std::atomic<Large> large;
std::shared_ptr<int> pointer;
}  // namespace

extern "C" long use_large() { return large.load().words[0]; }
extern "C" long use_pointer() { return *std::atomic_load(&pointer); }
extern "C" bool use_future(std::future<int>* future) {
  return future->wait_for(std::chrono::milliseconds(1)) == std::future_status::ready;
}
extern "C" sem_t* use_semaphore() { return sem_open("/none", O_CREAT, 0600, 0); }
extern "C" int use_timer(const itimerval* value) { return setitimer(ITIMER_REAL, value, nullptr); }
extern "C" int make_robust(pthread_mutexattr_t* attributes) {
  return pthread_mutexattr_setrobust(attributes, PTHREAD_MUTEX_ROBUST);
}
extern "C" int end_thread(pthread_t thread) { return pthread_cancel(thread); }
extern "C" long use_random(void* to) { return syscall(SYS_getrandom, to, 4, 0); }
