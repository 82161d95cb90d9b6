// SPDX-License-Identifier: Apache-2.0
#include "libmeta_os/guard.h"

namespace auxin::os {

thread_local constinit int meta_depth = 0;
thread_local constinit bool waits_reified = false;

}  // namespace auxin::os
