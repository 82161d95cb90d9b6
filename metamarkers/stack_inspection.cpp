// SPDX-License-Identifier: Apache-2.0
//
// Stack inspection by whichever walker could be loaded. Both walkers follow unwind information, so
// frames without frame pointers and the stubs of intercepted functions (stubs.S) are passed.
#include "metamarkers/stack_inspection.h"

#include <dlfcn.h>
#include <execinfo.h>

#include <atomic>
#include <cstdint>

#include "metamarkers/address_check.h"
#include "metamarkers/elf_modules.h"

namespace auxin::markers {

namespace {

using Walker = int (*)(void** addresses, int capacity);

constinit std::atomic<Walker> walker{nullptr};
constinit bool with_libunwind = false;
// Extent of the shared object this code is in; empty where it was linked into a program, whose
// frames are of course wanted.
constinit uintptr_t own_begin = 0, own_end = 0;

void find_ourselves(const ElfModule& module, void* program_is_first) {
  bool& first = *static_cast<bool*>(program_is_first);
  if (!first && module.contains(reinterpret_cast<uintptr_t>(&callers))) {
    own_begin = module.begin;
    own_end = module.end;
  }
  first = false;
}

}  // namespace

void prepare_stack_inspection() {
  if (walker.load(std::memory_order_acquire) != nullptr) return;
  bool program_is_first = true;
  for_each_elf_module(find_ourselves, &program_is_first);
  Walker found = nullptr;
  // Stays loaded for ever. RTLD_LOCAL keeps its _Unwind_* out of everybody's sight.
  if (void* library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL)) {
    found = reinterpret_cast<Walker>(dlsym(library, "unw_backtrace"));
    if (found != nullptr && !use_descriptorless_checks(reinterpret_cast<void*>(found))) {
      found = nullptr;
    }
  }
  with_libunwind = found != nullptr;
  if (found == nullptr) found = &backtrace;
  void* warm_up[4];
  found(warm_up, 4);  // both set up their state, and allocate, on first use
  walker.store(found, std::memory_order_release);
}

const char* stack_inspection_method() {
  if (walker.load(std::memory_order_acquire) == nullptr) return "none";
  return with_libunwind ? "libunwind" : "backtrace";
}

[[gnu::noinline]] size_t callers(void** addresses, size_t capacity) {
  const Walker walk = walker.load(std::memory_order_acquire);
  if (walk == nullptr) return 0;
  // Our own frames come first, those of hooks and stubs in between.
  void* found[kMaxInspectedFrames];
  const int count = walk(found, static_cast<int>(kMaxInspectedFrames));
  const void* const caller = __builtin_return_address(0);
  int at = 0;
  while (at < count && found[at] != caller) ++at;
  size_t kept = 0;
  for (; at < count && kept < capacity; ++at) {
    const auto address = reinterpret_cast<uintptr_t>(found[at]);
    if (address >= own_begin && address < own_end) continue;
    addresses[kept++] = found[at];
  }
  return kept;
}

}  // namespace auxin::markers
