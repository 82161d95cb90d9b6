// SPDX-License-Identifier: Apache-2.0
//
// The C++17 part of the annotated middleware (annotated.h).
#include "metamarkers/samples/annotated.h"

#include <string>

#include "auxin/metamarker.h"

extern "C" {

int annotated_cpp_upcall(void (*look)(void*), void* context) {
  AUXIN_JOIN_POINT("cpp upcall", AUXIN_ROLE_UPCALL, context);
  {
    AUXIN_JOIN_POINT("cpp inner", AUXIN_ROLE_INFRASTRUCTURE);
    look(context);
  }
  look(context);
  return 1;
}

int annotated_cpp_sweep(void (*look)(void*), void* context) {
  if (auto sweeping = auxin::JoinPoint("cpp sweep", AUXIN_ROLE_SUPPRESSED)) {
    look(context);
    return 1;
  }
  return 0;
}

void annotated_cpp_throws(void (*look)(void*), void* context) {
  AUXIN_JOIN_POINT("cpp throws", AUXIN_ROLE_CONTENTION_POINT, context);
  look(context);
  throw 7;
}

void annotated_request(int fd, unsigned id, void (*look)(void*), void* context) {
  const auxin::WorkingForRequest outer(fd, id);
  {
    const auxin::WorkingForRequest inner(fd + 1, id + 1);
    look(context);
  }
  look(context);
}

void annotated_many(int count) {
  for (int index = 0; index < count; ++index) {
    const std::string name = "name " + std::to_string(index);
    AUXIN_JOIN_POINT(name.c_str(), AUXIN_ROLE_PLAIN);
  }
}

}  // extern "C"
