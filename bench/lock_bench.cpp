// SPDX-License-Identifier: Apache-2.0
//
// What a lock/unlock pair costs a program, by its own clock.
//
//   lock_bench [--pairs N] [--kind mutex|rwlock|semaphore] [--burst N] [--pause-us N]
//              [--listen PORT]
//
// Prints one line: nanoseconds a pair. It is run natively, preloaded and as a group's leader by
// turns (bench/run.py). With --listen it is a server in Auxin's eyes, and the pairs of its own
// thread are ordered; they come in bursts with pauses, so that followers keep up and what is
// measured is the leader's own work. The clock is read by system call: what is preloaded has no
// part in measuring itself.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace {

uint64_t now_ns() {
  timespec now;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

struct alignas(128) Locks {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_rwlock_t read_write = PTHREAD_RWLOCK_INITIALIZER;
  sem_t semaphore;
  uint64_t guarded = 0;
};

struct Plan {
  uint64_t pairs = 5'000'000;
  uint64_t burst = 0;      // 0: all in one go
  useconds_t pause_us = 0;
  std::string kind = "mutex";
  uint16_t port = 0;       // 0: does not listen
};

template <typename Pair>
double run(const Plan& plan, Pair pair) {
  for (int i = 0; i < 1000; ++i) pair();
  const uint64_t burst = plan.burst == 0 ? plan.pairs : plan.burst;
  uint64_t done = 0, spent_ns = 0;
  while (done < plan.pairs) {
    const uint64_t begun_ns = now_ns();
    for (uint64_t i = 0; i < burst; ++i) pair();
    spent_ns += now_ns() - begun_ns;
    done += burst;
    if (plan.pause_us != 0) usleep(plan.pause_us);
  }
  return static_cast<double>(spent_ns) / static_cast<double>(done);
}

double measure(const Plan& plan, Locks& locks) {
  if (plan.kind == "rwlock") {
    return run(plan, [&] {
      pthread_rwlock_wrlock(&locks.read_write);
      locks.guarded++;
      pthread_rwlock_unlock(&locks.read_write);
    });
  }
  if (plan.kind == "semaphore") {
    return run(plan, [&] {
      sem_wait(&locks.semaphore);
      locks.guarded++;
      sem_post(&locks.semaphore);
    });
  }
  return run(plan, [&] {
    pthread_mutex_lock(&locks.mutex);
    locks.guarded++;
    pthread_mutex_unlock(&locks.mutex);
  });
}

bool start_listening(uint16_t port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
         listen(listener, 16) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  Plan plan;
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (option == "--pairs") {
      plan.pairs = std::strtoull(value, nullptr, 10);
    } else if (option == "--burst") {
      plan.burst = std::strtoull(value, nullptr, 10);
    } else if (option == "--pause-us") {
      plan.pause_us = static_cast<useconds_t>(std::atoi(value));
    } else if (option == "--kind") {
      plan.kind = value;
    } else if (option == "--listen") {
      plan.port = static_cast<uint16_t>(std::atoi(value));
    } else {
      std::fprintf(stderr, "lock_bench: what is %s?\n", argv[i]);
      return 2;
    }
  }
  if (plan.port != 0 && !start_listening(plan.port)) {
    std::perror("lock_bench: listen");
    return 1;
  }
  // A thread of its own: glibc takes short cuts while a process has only one.
  double pair_ns = 0;
  std::thread worker([&] {
    Locks locks;
    sem_init(&locks.semaphore, 0, 1);
    pair_ns = measure(plan, locks);
  });
  worker.join();
  std::printf("%.3f\n", pair_ns);
  return 0;
}
