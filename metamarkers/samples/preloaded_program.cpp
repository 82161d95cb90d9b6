// SPDX-License-Identifier: Apache-2.0
//
// A program that is run with the room preloaded (samples/preload.cpp) and without: its output is
// the same, and what it asks the preload comes out right. Exits with 0 if all is as it should be.
#include <dlfcn.h>
#include <unwind.h>

#include <cstdio>
#include <cstring>

#include "metamarkers/samples/target.h"

namespace {

int complain(const char* what) {
  fprintf(stderr, "preloaded_program: %s\n", what);
  return 1;
}

const char* file_of(void* address) {
  Dl_info info;
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) return "?";
  const char* slash = strrchr(info.dli_fname, '/');
  return slash != nullptr ? slash + 1 : info.dli_fname;
}

template <typename Function>
Function* find(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

[[gnu::noinline]] int caller_of_plain(sample::Shape* shape) { return shape->plain(4) + 1; }

int check_preload(const char* method) {
  int entered = 0, left = 0, depth = -1;
  find<void(int*, int*, int*)>("preload_counts")(&entered, &left, &depth);
  if (entered != 3003 || left != 3003 || depth != 0) return complain("counts are wrong");
  if (strcmp(find<const char*()>("preload_method")(), method) != 0) return complain("method");
  // The unwinder of exceptions is still libgcc's, for this program and for later libraries.
  if (strcmp(file_of(dlsym(RTLD_DEFAULT, "_Unwind_RaiseException")), "libgcc_s.so.1") != 0 ||
      strcmp(file_of(reinterpret_cast<void*>(&_Unwind_Resume)), "libgcc_s.so.1") != 0) {
    return complain("_Unwind_* is not libgcc's");
  }
  void** addresses = nullptr;
  const size_t count = find<size_t(void***)>("preload_callers")(&addresses);
  if (count < 3) return complain("too few callers");
  // No frame of the preload; first the function that called the intercepted one.
  for (size_t index = 0; index < count; ++index) {
    if (strstr(file_of(addresses[index]), "preload.so") != nullptr) return complain("own frame");
  }
  const auto first = reinterpret_cast<uintptr_t>(addresses[0]);
  const auto function = reinterpret_cast<uintptr_t>(&caller_of_plain);
  if (first < function || first > function + 64) return complain("first caller is another");
  bool in_main = false;
  for (size_t index = 0; index < count; ++index) {
    in_main = in_main || strcmp(file_of(addresses[index]), "libc.so.6") == 0;
  }
  return in_main ? 0 : complain("the walk does not reach libc's start");
}

}  // namespace

int main(int argument_count, char** arguments) {
  int sum = 0;
  for (int round = 0; round < 1000; ++round) {
    try {
      sum += sample::throws_deep(round);  // two intercepted functions
    } catch (int caught) {
      sum += caught;
    }
    try {
      sum += sample::throws(round);
    } catch (...) {
      ++sum;
    }
  }
  sample::Shape shape(3);
  const sample::Shape* volatile pointer = &shape;
  sum += pointer->area(5) + caller_of_plain(&shape);
  sum += shape.area(2);  // direct
  printf("%d\n", sum);
  // A library that is loaded now, and throws.
  void* late = dlopen("libauxin_sample_caller_late.so", RTLD_NOW);
  if (late == nullptr) return complain(dlerror());
  return argument_count > 1 ? check_preload(arguments[1]) : 0;
}
