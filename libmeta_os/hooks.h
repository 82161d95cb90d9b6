// SPDX-License-Identifier: Apache-2.0
//
// The hooks' declarations, made from hook_table.def: auxin::os::hook::NAME is the exported symbol
// NAME. They are declared apart from libc's headers, so that none is noexcept (cancellation and
// pthread_exit unwind through them) and a body that does not fit its row does not compile.
//
// For the hooks_*.cpp files only. Rules for a body: no allocation, no stdio, no blocking of its
// own, errno as libc's, no code after the real call where it can be helped.
#pragma once

#include "libmeta_os/facets.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/real_calls.h"

namespace auxin::os::hook {

#define AUXIN_CALL(family, facet, result, name, parameters, version, note) \
  __attribute__((visibility("default"))) result name parameters __asm__(#name);
#define AUXIN_LIST_CALL(family, facet, result, name, parameters, note) \
  __attribute__((visibility("default"))) result name parameters __asm__(#name);
#define AUXIN_LEFT(family, name, reason)
#include "libmeta_os/hook_table.def"
#undef AUXIN_CALL
#undef AUXIN_LIST_CALL
#undef AUXIN_LEFT

}  // namespace auxin::os::hook

namespace auxin::os {

// The base level's call behind the wrapper of an observed hook (observation.h) on this thread.
extern thread_local constinit const void* observed_site;

// Extent of the shared object that the hooks are in; the linker defines both.
extern "C" {
[[gnu::visibility("hidden")]] extern const char __ehdr_start[];
[[gnu::visibility("hidden")]] extern const char _end[];
}

// Hooks are called by the base level, or by a wrapper of ours that stands between.
[[gnu::always_inline]] inline CallSite call_site(const void* return_address) {
  const auto offset = reinterpret_cast<uintptr_t>(return_address) -
                      reinterpret_cast<uintptr_t>(__ehdr_start);
  const auto extent = reinterpret_cast<uintptr_t>(_end) - reinterpret_cast<uintptr_t>(__ehdr_start);
  if (offset < extent) [[unlikely]] return CallSite{observed_site};
  return CallSite{return_address};
}

// The caller of the hook that this stands in.
#define AUXIN_CALL_SITE (::auxin::os::call_site(__builtin_return_address(0)))

}  // namespace auxin::os
