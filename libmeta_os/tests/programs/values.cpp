// SPDX-License-Identifier: Apache-2.0
//
// Clocks, sleeps, random numbers, process numbers and files.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <fstream>
#include <random>

#include "program.h"

using namespace programs;

extern "C" {
int __open_2(const char*, int);
int __open64_2(const char*, int);
}

namespace {

bool any_bit(const void* bytes, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (static_cast<const char*>(bytes)[i] != 0) return true;
  }
  return false;
}

}  // namespace

PROGRAM(clocks_agree) {
  timespec a{}, b{};
  timeval c{};
  say_errno("clock_gettime", clock_gettime(CLOCK_REALTIME, &a));
  say_errno("gettimeofday", gettimeofday(&c, nullptr));
  const time_t d = time(nullptr);
  time_t e = 0;
  say("time stored", time(&e) == e);
  clock_gettime(CLOCK_REALTIME, &b);
  say("in order",
      a.tv_sec <= c.tv_sec && c.tv_sec <= b.tv_sec && a.tv_sec <= d + 1 && d <= b.tv_sec);
  say_errno("bad clock", clock_gettime(12345, &a));
}

PROGRAM(sleeps_last) {
  timespec before = in_ms(CLOCK_MONOTONIC, 0);
  const timespec moment{0, 3'000'000};
  say_errno("nanosleep", nanosleep(&moment, nullptr));
  say_errno("clock_nanosleep", clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, nullptr));
  const timespec until = in_ms(CLOCK_REALTIME, 3);
  say_error("absolute", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, nullptr));
  say_errno("usleep", usleep(3000));
  say("sleep", sleep(0));
  const timespec after = in_ms(CLOCK_MONOTONIC, 0);
  const long ms =
      (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1'000'000;
  say("at least 11 ms", ms >= 11);
  const timespec bad{0, 1'000'000'000};
  say_errno("bad nanosleep", nanosleep(&bad, nullptr));
  errno = 0;
  say_error("bad clock_nanosleep", clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, nullptr));
  say("errno untouched", errno);
}

PROGRAM(random_numbers_come) {
  char bytes[300] = {};
  say_errno("getrandom", getrandom(bytes, 16, 0));
  say("some bit", any_bit(bytes, 16));
  say_errno("getentropy", getentropy(bytes + 16, 256));
  say_errno("getentropy, too much", getentropy(bytes, 257));
  arc4random_buf(bytes + 272, 16);
  say("some bit", any_bit(bytes + 272, 16));
  say("differ", arc4random() != arc4random() || arc4random() != arc4random());
  say("in bounds", arc4random_uniform(10) < 10);
  std::random_device device;
  say("random_device", device() != device() || device() != device());
}

PROGRAM(random_numbers_repeat_by_seed) {
  srandom(7);
  printf("%ld %ld\n", random(), random());
  srand(9);
  printf("%d %d\n", rand(), rand());
  srand48(3);
  printf("%.12f %ld %ld\n", drand48(), lrand48(), mrand48());
  unsigned seed = 5;
  printf("%d\n", rand_r(&seed));
}

PROGRAM(random_devices_are_read) {
  char bytes[16] = {};
  const int fd = open("/dev/urandom", O_RDONLY);
  say_errno("read", read(fd, bytes, sizeof(bytes)));
  say("some bit", any_bit(bytes, sizeof(bytes)));
  close(fd);
  std::ifstream stream("/dev/urandom");
  memset(bytes, 0, sizeof(bytes));
  stream.read(bytes, sizeof(bytes));
  say("read", stream.gcount());
  say("some bit", any_bit(bytes, sizeof(bytes)));
}

PROGRAM(numbers_of_this_process) {
  say("getpid", getpid() == syscall(SYS_getpid));
  say("getppid", getppid() == syscall(SYS_getppid));
  say("gettid", gettid() == getpid());
}

PROGRAM(files_open) {
  char directory[] = "/tmp/auxin-hook-program-XXXXXX";
  say("mkdtemp", mkdtemp(directory) != nullptr);
  const std::string path = std::string(directory) + "/file";
  umask(022);
  int fd = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0640);
  struct stat status {};
  fstat(fd, &status);
  printf("mode %o\n", status.st_mode & 0777u);
  say_errno("write", write(fd, "text", 4));
  close(fd);
  say_errno("exists", open64(path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600));
  fd = __open_2(path.c_str(), O_RDONLY);
  say("open", fd >= 0);
  close(fd);
  fd = __open64_2(path.c_str(), O_RDONLY);
  say("open64", fd >= 0);
  close(fd);
  const int parent = open(directory, O_DIRECTORY | O_RDONLY);
  fd = openat(parent, "file", O_RDONLY);
  char buffer[8] = {};
  say_errno("read", read(fd, buffer, 8));
  puts(buffer);
  close(fd);
  fd = openat64(parent, "second", O_CREAT | O_WRONLY, 0604);
  fstat(fd, &status);
  printf("mode %o\n", status.st_mode & 0777u);
  close(fd);
  close(parent);
  close(creat(path.c_str(), 0600));
  close(creat64(path.c_str(), 0600));
  say_errno("unlink of nothing", unlink((path + ".none").c_str()));
  say_errno("chmod of nothing", chmod((path + ".none").c_str(), 0600));
  say_errno("chmod", chmod(path.c_str(), 0640));
  stat(path.c_str(), &status);
  printf("mode %o\n", status.st_mode & 0777u);
  FILE* file = fopen(path.c_str(), "w");
  fputs("line\n", file);
  fclose(file);
  file = fopen64(path.c_str(), "r");
  say("read", fgetc(file));
  fclose(file);
  say("no such file", fopen("/nonexistent/x", "r") == nullptr && errno == ENOENT);
  unlink(path.c_str());
  unlink((std::string(directory) + "/second").c_str());
  rmdir(directory);
}
