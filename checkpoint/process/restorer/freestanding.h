// SPDX-License-Identifier: Apache-2.0
//
// auxin-restore without libc: what it says, and how it ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "libmeta_os/raw_syscall.h"

namespace auxin::restorer {

enum class Exit : int {
  kDamaged = 1,   // the image is torn or has changed since it was written
  kRefused = 2,   // it is good, but not for this machine, kernel or binary; or wrong usage
  kFailed = 3,    // the kernel did not do what is needed
};

// One line on the standard error.
void say(std::initializer_list<const char*> parts);
[[noreturn]] void end(Exit code);
// The kernel's `result` is a negative errno.
[[noreturn]] void failed(const char* what, long result);
const char* decimal(uint64_t number, char (&buffer)[24]);

}  // namespace auxin::restorer
