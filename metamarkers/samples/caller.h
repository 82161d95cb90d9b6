// SPDX-License-Identifier: Apache-2.0
//
// The calling side of the interception tests, in shared objects of its own (built with lazy and
// with immediate binding), because references from the module that contains the room itself are
// left alone. A table of functions, found by dlsym("sample_calls").
#pragma once

#include "metamarkers/samples/target.h"

namespace sample {

struct Calls {
  int (*area)(int width, int height);               // virtual, through Shape*
  int (*square_area)(int width, int height);        // virtual, the object is a Square
  int (*plain)(Shape* shape, int height);
  Big (*big)(Shape* shape, int seed);
  decltype(&sample::many) many;
  decltype(&sample::doubles) doubles;
  decltype(&sample::mixed) mixed;
  decltype(&sample::complex_result) complex_result;
  decltype(&sample::long_double_result) long_double_result;
  decltype(&sample::wide_result) wide_result;
  double (*sum_of_three)(double a, double b, double c);  // variadic
  int (*overloaded_int)(int value);
  int (*overloaded_text)(const char* value);
  int (*catches)(int value);                        // calls throws, gives what it caught
  int (*catches_deep)(int value);
  int (*passes_exception)(int value);               // calls throws, does not catch
  int (*recurse)(int depth);
  void (*exit_thread)();
  void (*wait_for_byte)(int fd);
  int (*jumps)(bool* nested);                       // setjmp here, longjmp in the target
  int (*sets_errno)(int value);
  long (*c_function)(long value);
  long (*through_pointer)(long value);              // the address comes from the offset table
  long (*static_chain)(long value);                 // calls with r10 = value
};

}  // namespace sample

extern "C" const sample::Calls* sample_calls();
