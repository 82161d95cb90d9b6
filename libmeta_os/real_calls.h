// SPDX-License-Identifier: Apache-2.0
//
// The libc functions behind the hooks.
//
// `real(…)` gives the next definition after libauxin's of each hooked call, resolved lazily with
// dlsym(RTLD_NEXT) / dlvsym (pthread_cond_*: GLIBC_2.3.2) and remembered. Code of Auxin that runs
// inside a server calls libc through it wherever the call has a hook; hooks may run before any
// constructor, so the table is constinit: each member starts as a stub that resolves the whole
// table and then makes the call.
//
// Use:  os::real().pthread_mutex_lock(mutex)
#pragma once

#include "libmeta_os/real_calls_table.h"  // struct RealCalls: one function pointer per hook row

namespace auxin::os {

// Its members change once, from stub to libc's function, and each value may be called at any time.
extern __attribute__((visibility("hidden"))) RealCalls real_calls;

// Never null; each member is callable at any time after the dynamic linker has mapped the process.
inline const RealCalls& real() { return real_calls; }

// Resolves the whole table now. Any thread, any number of times. Returns the name of the first call
// that libc does not have (calling it would end the process), or null.
const char* resolve_real_calls();

}  // namespace auxin::os
