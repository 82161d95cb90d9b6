// SPDX-License-Identifier: Apache-2.0
#include "libmeta_os/guard.h"

namespace auxin::os {

thread_local constinit int meta_depth = 0;

}  // namespace auxin::os
