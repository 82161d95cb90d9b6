// SPDX-License-Identifier: Apache-2.0
//
// Stack inspection by whichever walker could be loaded. Both walkers follow unwind information, so
// frames without frame pointers and the stubs of intercepted functions (stubs.S) are passed.
#include "metamarkers/stack_inspection.h"

#include <dlfcn.h>
#include <execinfo.h>
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include <atomic>
#include <cstdint>

#include "metamarkers/address_check.h"
#include "metamarkers/elf_modules.h"

namespace auxin::markers {

namespace {

using Walker = int (*)(void** addresses, int capacity);

constinit std::atomic<Walker> walker{nullptr};

// libunwind step by step; all null where it is not there. Its header makes macros of the names.
struct Stepper {
  int (*get_context)(unw_context_t* context);
  int (*begin)(unw_cursor_t* cursor, unw_context_t* context);
  int (*step)(unw_cursor_t* cursor);
  int (*get_register)(unw_cursor_t* cursor, int which, unw_word_t* value);
};
constinit Stepper stepper{};

template <class Function>
bool find(void* library, const char* name, Function** function) {
  *function = reinterpret_cast<Function*>(dlsym(library, name));
  return *function != nullptr;
}

void find_stepper(void* library) {
  Stepper found{};
  if (find(library, "_Ux86_64_getcontext", &found.get_context) &&
      find(library, "_ULx86_64_init_local", &found.begin) &&
      find(library, "_ULx86_64_step", &found.step) &&
      find(library, "_ULx86_64_get_reg", &found.get_register)) {
    stepper = found;
  }
}

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
    if (found != nullptr) find_stepper(library);
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

[[gnu::noinline]] size_t caller_frames(StackFrame* frames, size_t capacity) {
  if (stepper.step == nullptr) return 0;
  unw_context_t context;
  unw_cursor_t cursor;
  stepper.get_context(&context);
  if (stepper.begin(&cursor, &context) != 0) return 0;
  size_t kept = 0;
  for (size_t depth = 0; depth < kMaxInspectedFrames && kept < capacity; ++depth) {
    unw_word_t address = 0, stack_pointer = 0;
    if (stepper.step(&cursor) <= 0 ||
        stepper.get_register(&cursor, UNW_REG_IP, &address) != 0 ||
        stepper.get_register(&cursor, UNW_REG_SP, &stack_pointer) != 0 || address == 0) {
      break;
    }
    if (address >= own_begin && address < own_end) continue;
    // A call pushes its return address just below where the stack pointer is once it has returned.
    frames[kept++] = {reinterpret_cast<const void*>(address), stack_pointer - sizeof(void*)};
  }
  return kept;
}

}  // namespace auxin::markers
