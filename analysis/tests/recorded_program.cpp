// SPDX-License-Identifier: Apache-2.0
//
// What the recorder's test records: an ordinary program whose calls are known. Its functions are
// not inlined, so that each is a frame.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace {

pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

}  // namespace

extern "C" {

[[gnu::noinline]] void take_once(pthread_mutex_t* mutex) {
  pthread_mutex_lock(mutex);
  pthread_mutex_unlock(mutex);
  asm volatile("");
}

[[gnu::noinline]] void through_one(pthread_mutex_t* mutex) {
  take_once(mutex);
  asm volatile("");
}

[[gnu::noinline]] void through_two(pthread_mutex_t* mutex) {
  take_once(mutex);
  asm volatile("");
}

void* other_thread(void*) {
  for (int i = 0; i < 5; ++i) take_once(&second);
  pthread_mutex_lock(&first);
  pthread_cond_signal(&condition);
  pthread_mutex_unlock(&first);
  return nullptr;
}

}  // extern "C"

int main(int count, char** arguments) {
  const std::string what = count > 1 ? arguments[1] : "all";
  const long turns = count > 2 ? atol(arguments[2]) : 10;
  if (what == "fork") {
    if (fork() == 0) {
      for (int i = 0; i < 100; ++i) take_once(&first);
      _exit(0);
    }
  }
  for (long i = 0; i < turns; ++i) {
    through_one(&first);
    through_two(&first);
    through_two(&second);
  }
  if (what == "kill") {
    kill(getpid(), SIGKILL);
  } else if (what == "all") {
    pthread_mutex_lock(&first);
    pthread_t thread;
    pthread_create(&thread, nullptr, other_thread, nullptr);
    pthread_cond_wait(&condition, &first);
    pthread_mutex_unlock(&first);
    pthread_join(thread, nullptr);
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    send(pair[0], "hello, recorder", 15, 0);
    char buffer[64];
    recv(pair[1], buffer, sizeof buffer, 0);
    recv(pair[1], buffer, sizeof buffer, MSG_DONTWAIT);
  }
  puts("done");
}
