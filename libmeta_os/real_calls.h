// SPDX-License-Identifier: Apache-2.0
//
// The libc functions behind the hooks.
//
// `real(…)` gives the next definition after libauxin's of each hooked call, resolved lazily with
// dlsym(RTLD_NEXT) / dlvsym (pthread_cond_*: GLIBC_2.3.2) and remembered. Code of Auxin that runs
// inside a server calls libc through it wherever the call has a hook; hooks may run before any
// constructor, so the table is constinit.
//
// Use:  os::real().pthread_mutex_lock(mutex)
#pragma once

#include "libmeta_os/real_calls_table.h"  // struct RealCalls: one function pointer per hook row

namespace auxin::os {

// Never null; each member is callable at any time after the dynamic linker has mapped the process.
const RealCalls& real();

}  // namespace auxin::os
