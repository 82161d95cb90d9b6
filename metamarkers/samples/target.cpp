// SPDX-License-Identifier: Apache-2.0
//
// The intercepted side of the interception tests (target.h).
#include "metamarkers/samples/target.h"

#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <csetjmp>
#include <cstdarg>

namespace sample {

void (*probe)() = [] {};

Shape::~Shape() = default;
int Shape::area(int height) const {
  probe();
  return width_ * height;
}
int Shape::plain(int height) {
  probe();
  return width_ + height;
}
Big Shape::big(int seed) {
  probe();
  Big result{};
  for (int index = 0; index < 8; ++index) result.values[index] = seed * 10 + index + width_;
  return result;
}
int Square::area(int height) const {
  probe();
  return width() * width() + height;
}

long many(long a, long b, long c, long d, long e, long f, double s, double t, double u, double v,
          double w, double x, double y, double z) {
  probe();
  return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f +
         static_cast<long>(s + 2 * t + 3 * u + 4 * v + 5 * w + 6 * x + 7 * y + 8 * z);
}
double doubles(double s, double t, double u, double v, double w, double x, double y, double z) {
  probe();
  return s - 2 * t + 3 * u - 4 * v + 5 * w - 6 * x + 7 * y - 8 * z;
}
Mixed mixed(long seed) {
  probe();
  return {static_cast<double>(seed) / 2, seed * 3};
}
std::complex<double> complex_result(double seed) {
  probe();
  return {seed, -seed};
}
long double long_double_result(int seed) {
  probe();
  return static_cast<long double>(seed) / 3;
}
__int128 wide_result(long high, long low) {
  probe();
  return (static_cast<__int128>(high) << 64) + low;
}
double sum_variadic(int count, ...) {
  va_list list;
  va_start(list, count);
  double sum = 0;
  for (int index = 0; index < count; ++index) sum += va_arg(list, double);
  va_end(list);
  probe();
  return sum;
}
int overloaded(int value) {
  probe();
  return value;
}
int overloaded(const char*) {
  probe();
  return -1;
}
int throws(int value) {
  probe();
  throw value;
}
namespace {
struct Guard {
  ~Guard() { probe(); }
};
}  // namespace
int throws_deep(int value) {
  Guard guard;
  return throws(value) + 1;
}
int recurse(int depth) {
  if (depth == 0) {
    probe();
    return 0;
  }
  int (*volatile itself)(int) = &recurse;  // through the offset table, not a loop
  return itself(depth - 1) + 1;
}
void exit_thread() {
  probe();
  pthread_exit(nullptr);
}
void wait_for_byte(int fd) {
  probe();
  char byte = 0;
  while (read(fd, &byte, 1) != 1) {}
}
void jump(void* environment) {
  probe();
  longjmp(*static_cast<jmp_buf*>(environment), 1);
}
int sets_errno(int value) {
  probe();
  errno = value;
  return -1;
}
int unused_by_anybody(int value) { return value; }
extern "C" long c_function(long value) {
  probe();
  return value + 1;
}

}  // namespace sample

asm(R"(
  .text
  .globl static_chain
  .type static_chain, @function
static_chain:
  movq %r10, %rax
  ret
  .size static_chain, . - static_chain
)");
