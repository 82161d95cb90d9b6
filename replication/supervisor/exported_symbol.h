// SPDX-License-Identifier: Apache-2.0
//
// Whether a shared library exports a symbol: its file is read, it is not loaded.
//
// Thread safety: one thread.
#pragma once

#include <string>

namespace auxin::supervisor {

// False also for what is no 64-bit x86 shared library or can't be read.
bool exports_symbol(const std::string& library, const std::string& symbol);

}  // namespace auxin::supervisor
