// SPDX-License-Identifier: Apache-2.0
//
// Near all signs and none of them: nothing here is to be told.
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <unordered_map>

static std::mutex lock;
static std::condition_variable changed;
static std::unordered_map<int, int> values;  // its nodes are of std::__detail
static std::atomic<long> count;

extern "C" int put(int value) {
  std::unique_lock<std::mutex> hold(lock);
  changed.wait_for(hold, std::chrono::milliseconds(1), [] { return !values.empty(); });
  values[value] = static_cast<int>(count.fetch_add(1));
  return values[value];
}
extern "C" int wait_for(std::future<int>* future) { return future->get(); }
extern "C" long kill_one(int pid) { return syscall(SYS_tgkill, pid, syscall(SYS_gettid), 0); }
extern "C" int make_recursive(pthread_mutexattr_t* with) {
  return pthread_mutexattr_settype(with, PTHREAD_MUTEX_RECURSIVE);
}
