// SPDX-License-Identifier: Apache-2.0
#include "program.h"

namespace programs {
namespace {

Program* first = nullptr;

}  // namespace

Program::Program(const char* its_name, void (*its_run)())
    : name(its_name), run(its_run), next(first) {
  first = this;
}

void say(const char* what, long value) { printf("%s: %ld\n", what, value); }

void say_error(const char* what, int error) {
  const char* const name = error == 0 ? "ok" : strerrorname_np(error);
  printf("%s: %s\n", what, name == nullptr ? "?" : name);
}

void say_errno(const char* what, long value) {
  if (value == -1) {
    say_error(what, errno);
  } else {
    say(what, value);
  }
}

timespec in_ms(clockid_t clock, long milliseconds) {
  timespec at{};
  clock_gettime(clock, &at);
  const long nanoseconds = at.tv_nsec + milliseconds % 1000 * 1'000'000;
  at.tv_sec += milliseconds / 1000 + (nanoseconds >= 1'000'000'000 ? 1 : nanoseconds < 0 ? -1 : 0);
  at.tv_nsec = (nanoseconds + 1'000'000'000) % 1'000'000'000;
  return at;
}

}  // namespace programs

int main(int count, char** arguments) {
  if (count < 2) {
    for (auto* each = programs::first; each != nullptr; each = each->next) puts(each->name);
    return 0;
  }
  for (auto* each = programs::first; each != nullptr; each = each->next) {
    if (strcmp(each->name, arguments[1]) == 0) {
      each->run();
      fflush(stdout);
      return 0;
    }
  }
  return 2;
}
