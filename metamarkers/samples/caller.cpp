// SPDX-License-Identifier: Apache-2.0
//
// The calling side of the interception tests (caller.h). Every call here leaves this module.
#include "metamarkers/samples/caller.h"

#include <csetjmp>

asm(R"(
  .text
  .type call_with_static_chain, @function
call_with_static_chain:
  movq %rdi, %r10
  subq $8, %rsp
  call static_chain@PLT
  addq $8, %rsp
  ret
  .size call_with_static_chain, . - call_with_static_chain
)");
extern "C" [[gnu::visibility("hidden")]] long call_with_static_chain(long value);

namespace sample {
namespace {

// Not a constant: the compiler must fetch the address each time.
long (*volatile pointer_fetched_late)(long) = nullptr;

const Calls kCalls = {
    [](int width, int height) {
      const Shape* volatile shape = new Shape(width);
      const int result = shape->area(height);
      delete shape;
      return result;
    },
    [](int width, int height) {
      const Shape* volatile shape = new Square(width);
      const int result = shape->area(height);
      delete shape;
      return result;
    },
    [](Shape* shape, int height) { return shape->plain(height); },
    [](Shape* shape, int seed) { return shape->big(seed); },
    [](long a, long b, long c, long d, long e, long f, double s, double t, double u, double v,
       double w, double x, double y, double z) {
      return many(a, b, c, d, e, f, s, t, u, v, w, x, y, z) + 0;
    },
    [](double s, double t, double u, double v, double w, double x, double y, double z) {
      return doubles(s, t, u, v, w, x, y, z);
    },
    [](long seed) { return mixed(seed); },
    [](double seed) { return complex_result(seed); },
    [](int seed) { return long_double_result(seed); },
    [](long high, long low) { return wide_result(high, low); },
    [](double a, double b, double c) { return sum_variadic(3, a, b, c); },
    [](int value) { return overloaded(value); },
    [](const char* value) { return overloaded(value); },
    [](int value) {
      try {
        return throws(value);
      } catch (int caught) {
        return caught + 1000;
      }
    },
    [](int value) {
      try {
        return throws_deep(value);
      } catch (int caught) {
        return caught + 2000;
      }
    },
    [](int value) { return throws(value) + 1; },
    [](int depth) { return recurse(depth); },
    [] { exit_thread(); },
    [](int fd) { wait_for_byte(fd); },
    [](bool* nested) {
      jmp_buf environment;
      if (setjmp(environment) == 0) {
        jump(&environment);
        return 0;
      }
      *nested = true;
      return static_cast<int>(c_function(6));  // puts a marker where the stale one was
    },
    [](int value) { return sets_errno(value); },
    [](long value) { return c_function(value); },
    [](long value) {
      pointer_fetched_late = &c_function;
      return pointer_fetched_late(value);
    },
    call_with_static_chain,
};

}  // namespace
}  // namespace sample

extern "C" const sample::Calls* sample_calls() { return &sample::kCalls; }
