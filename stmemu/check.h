// SPDX-License-Identifier: Apache-2.0
//
// CHECK(condition, "why"): an invariant, tested in every build. A violation writes one line to
// descriptor 2 and aborts. Safe in hooks and signal handlers: no allocation, no stdio.
#pragma once

namespace auxin {

[[noreturn]] void check_failed(const char* file, int line, const char* condition, const char* why);

}  // namespace auxin

#define CHECK(condition, why)                                                        \
  (__builtin_expect(!!(condition), 1) ? static_cast<void>(0)                         \
                                      : ::auxin::check_failed(__FILE__, __LINE__, #condition, why))
