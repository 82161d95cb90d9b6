// SPDX-License-Identifier: Apache-2.0
//
// Whether a program can be a server of a group: a library can be preloaded into it.
//
// That rules out what is statically linked, runs with other privileges than its caller's (the
// dynamic linker then ignores LD_PRELOAD) or is for another machine. A script is as good as its
// interpreter.
#pragma once

#include <string>
#include <vector>

#include "stmemu/result.h"

namespace auxin::supervisor {

// The absolute path of the program that execvp would run for `name`. An error is a sentence.
Result<std::string> find_program(const std::string& name);

// Nothing, or a sentence that says why not and what to do.
std::string server_fault(const std::string& path);

// The sonames that the dynamic linker would load for the program at its start (itself not
// included); empty for a script or if the linker can't tell.
std::vector<std::string> libraries_of(const std::string& path);

}  // namespace auxin::supervisor
