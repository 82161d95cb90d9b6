// SPDX-License-Identifier: Apache-2.0
//
// The loaded modules of this process, by address.
//
// A snapshot made from dl_iterate_phdr: at first use, and when a hook notices that a dlopen added
// some. Readers never lock: the current snapshot is reached through one pointer, old ones stay
// (they are few).
#pragma once

#include <cstdint>

namespace auxin::os {

struct Module {
  char name[64];         // file name without directories; the executable: its own file name
  const char* path;      // as the dynamic linker knows it ("" for the executable)
  uintptr_t base;        // load address: an address minus base is module-relative
  uintptr_t begin, end;  // extent of its executable segments
  bool executable;       // the program itself
};

// The module that contains `address`, or null. Lock-free, may be called in a hook.
const Module* module_of(const void* address);
// Calls `visit(module, context)` for each.
void for_each_module(void (*visit)(const Module&, void*), void* context);
// Takes a new snapshot. Not in a hook's fast path: walks the linker's list. Allocates with mmap
// only.
void refresh_modules();
// How many modules the linker has ever added, cheap enough for a socket or pthread_create hook.
unsigned long long modules_added();
// The count at the last snapshot; another value of modules_added() means that it is stale.
unsigned long long modules_added_at_snapshot();

}  // namespace auxin::os
