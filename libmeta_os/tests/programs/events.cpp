// SPDX-License-Identifier: Apache-2.0
//
// What differs when facets are there that do something: preload_test.cpp knows the answers.
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <threads.h>

#include <fstream>
#include <random>

#include "program.h"

using namespace programs;

namespace {

void* plus_one(void* value) { return static_cast<char*>(value) + 1; }
int minus_six(void*) { return -6; }

int status_of(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WEXITSTATUS(status);
}

void flushed(const char* line) {
  puts(line);
  fflush(stdout);
}

}  // namespace

PROGRAM(show_values) {
  timespec time_now{};
  clock_gettime(CLOCK_REALTIME, &time_now);
  printf("clock %ld.%ld\n", time_now.tv_sec, time_now.tv_nsec);
  timeval day{};
  gettimeofday(&day, nullptr);
  printf("gettimeofday %ld.%ld\n", day.tv_sec, day.tv_usec);
  time_t stored = 0;
  const time_t returned = time(&stored);
  printf("time %ld %ld\n", returned, stored);
  time_now = {};
  timespec_get(&time_now, TIME_UTC);
  printf("timespec_get %ld.%ld\n", time_now.tv_sec, time_now.tv_nsec);
  char bytes[16] = {};
  printf("getrandom %ld", getrandom(bytes, 15, 0));
  printf(" %s\n", bytes);
  memset(bytes, 0, 16);
  getentropy(bytes, 15);
  printf("getentropy %s\n", bytes);
  memset(bytes, 0, 16);
  arc4random_buf(bytes, 15);
  printf("arc4random_buf %s\n", bytes);
  printf("arc4random %u %u\n", arc4random(), arc4random_uniform(10));
  printf("random %ld\nrand %d\n", random(), rand());
  const double fraction = drand48();
  unsigned long bits;
  memcpy(&bits, &fraction, 8);
  printf("drand48 %d\nlrand48 %ld\nmrand48 %ld\n", bits == 45, lrand48(), mrand48());
  printf("random_device %u\n", std::random_device{}());
  printf("getpid %d\ngetppid %d\ngettid %d\n", getpid(), getppid(), gettid());
  cpu_set_t cpus;
  sched_getaffinity(0, sizeof cpus, &cpus);
  printf("processors %d", CPU_COUNT(&cpus));
  pthread_getaffinity_np(pthread_self(), sizeof cpus, &cpus);
  printf(" %d\n", CPU_COUNT(&cpus));
  const int fd = open("/dev/urandom", O_RDONLY);
  memset(bytes, 0, 16);
  printf("/dev/urandom %ld", read(fd, bytes, 15));
  printf(" %s\n", bytes);
  const int twin = dup(fd);
  close(fd);
  memset(bytes, 0, 16);
  printf("its duplicate %ld", read(twin, bytes, 15));
  printf(" %s\n", bytes);
  close(twin);
  memset(bytes, 0, 16);
  {
    std::ifstream stream;
    stream.rdbuf()->pubsetbuf(nullptr, 0);
    stream.open("/dev/urandom");
    stream.read(bytes, 15);
  }
  printf("through a stream %s\n", bytes);
  const int zero = open("/dev/zero", O_RDONLY);  // the number that was a random source
  const long zeros = read(zero, bytes, 15);
  printf("/dev/zero %ld %d\n", zeros, bytes[0]);
  const timespec hour{3600, 0};
  const int a = nanosleep(&hour, nullptr);
  const int b = clock_nanosleep(CLOCK_MONOTONIC, 0, &hour, nullptr);
  const int c = usleep(3'600'000'000u);
  const unsigned d = sleep(3600);
  printf("sleeps %d %d %d %u %d\n", a, b, c, d, thrd_sleep(&hour, nullptr));
}

PROGRAM(show_events) {
  void* const joined = Thread(plus_one, reinterpret_cast<void*>(5)).join();
  printf("thread joined %ld\n", reinterpret_cast<long>(joined));
  fflush(stdout);
  thrd_t thread;
  thrd_create(&thread, minus_six, nullptr);
  int result = 0;
  thrd_join(thread, &result);
  printf("C11 thread joined %d\n", result);
  fflush(stdout);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 1ul << 46);  // cannot be had
  pthread_t none;
  pthread_create(&none, &attributes, plus_one, nullptr);

  pid_t child = fork();
  if (child == 0) exit(3);
  printf("child's status %d\n", status_of(child));
  fflush(stdout);
  child = vfork();
  if (child == 0) _exit(4);
  printf("vfork child's status %d\n", status_of(child));
  fflush(stdout);

  char env[] = "env";
  char* const arguments[] = {env, nullptr};
  child = _Fork();
  if (child == 0) execvp("env", arguments);
  status_of(child);
  posix_spawnp(&child, "env", nullptr, nullptr, arguments, environ);
  status_of(child);
  child = vfork();
  if (child == 0) {
    execlp("env", "env", nullptr);
    _exit(5);
  }
  status_of(child);
  flushed("returning from main");
}

PROGRAM(show_module_events) {
  socket(AF_UNIX, SOCK_STREAM, 0);
  flushed("socket");
  if (dlopen("libanl.so.1", RTLD_NOW) == nullptr) flushed("no library to load");
  flushed("loaded");
  socket(AF_UNIX, SOCK_STREAM, 0);
  flushed("socket");
  socket(AF_UNIX, SOCK_STREAM, 0);
  flushed("socket");
}
