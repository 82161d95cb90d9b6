// SPDX-License-Identifier: Apache-2.0
//
// The functions that the interception tests intercept: one for every way of passing arguments and
// results, and of leaving a function. Implemented in libauxin_sample_target.so, called by
// libauxin_sample_caller_*.so (caller.h).
#pragma once

#include <complex>

namespace sample {

// What every function of the target calls in its middle, so that a test can look at the thread.
extern void (*probe)();

struct Big {
  long values[8];
};
struct Mixed {
  double floating;
  long integer;
};

class Shape {
 public:
  explicit Shape(int width) : width_(width) {}
  virtual ~Shape();
  virtual int area(int height) const;
  int plain(int height);
  Big big(int seed);                 // hidden pointer before `this`
  int width() const { return width_; }

 private:
  int width_;
};

class Square : public Shape {
 public:
  using Shape::Shape;
  int area(int height) const override;
};

long many(long a, long b, long c, long d, long e, long f, double s, double t, double u, double v,
          double w, double x, double y, double z);
double doubles(double s, double t, double u, double v, double w, double x, double y, double z);
Mixed mixed(long seed);
std::complex<double> complex_result(double seed);
long double long_double_result(int seed);
__int128 wide_result(long high, long low);
double sum_variadic(int count, ...);
int overloaded(int value);
int overloaded(const char* value);
int throws(int value);               // throws value
int throws_deep(int value);          // calls throws, has a destructor to run
int recurse(int depth);              // calls itself through the offset table
void exit_thread();                  // pthread_exit
void wait_for_byte(int fd);          // a cancellation point
void jump(void* environment);        // longjmp(environment, 1)
int sets_errno(int value);
int unused_by_anybody(int value);
extern "C" long c_function(long value);
extern "C" long static_chain();      // returns what came in r10

}  // namespace sample
