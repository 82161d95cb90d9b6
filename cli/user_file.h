// SPDX-License-Identifier: Apache-2.0
//
// A file that the user asked for by name: afterwards it is whole, or as it was before.
#pragma once

#include <optional>
#include <string>

#include "stmemu/result.h"

namespace auxin::cli {

enum class Readers : unsigned char {
  kOwner,   // what a recording tells of a process: command line, names
  kAnyone,  // as far as the umask lets them
};

// Why `path` could not be written; asked before long work is done for it. It may still fail then.
std::optional<Error> why_not_writable(const std::string& path);

std::optional<Error> write_file(const std::string& path, const std::string& text,
                                Readers readers = Readers::kAnyone);

}  // namespace auxin::cli
