// SPDX-License-Identifier: Apache-2.0
//
// libauxin_hooks_test.so: the hooks with no style at all. Every call must reach libc unchanged.
#include "libmeta_os/facets.h"

// A shared library needs a source of its own; the hooks come as objects.
static_assert(sizeof(auxin::os::Facets) > 0);
