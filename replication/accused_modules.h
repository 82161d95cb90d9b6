// SPDX-License-Identifier: Apache-2.0
//
// Which loaded modules are the application's for what is told about them: those that it needs
// itself. A library that only an ORB or its transport brings along (a Kerberos that ZeroMQ is
// linked to) is named by no map, but is none of the application's either.
//
// Needed means DT_NEEDED: the program's libraries, theirs, and so on, and everything that was
// loaded by dlopen with what that needs; but not what is needed by infrastructure and conduits.
//
// Thread safety: on the threads that load modules; allocates.
#pragma once

#include <cstdint>
#include <vector>

namespace auxin::replication {

// Load addresses.
std::vector<uintptr_t> accused_modules();

}  // namespace auxin::replication
