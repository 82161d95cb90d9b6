// SPDX-License-Identifier: Apache-2.0
//
// What a server does that is not supported, as lines for people: what it is, what it means, what to
// do about it. The preload notes facts (libmeta_os/unsupported_use.h); the words are here.
#pragma once

#include <string>
#include <vector>

#include "analysis/trace/trace.h"
#include "libmeta_os/unsupported_use.h"
#include "replication/group_state.h"

namespace auxin::cli {

struct UnsupportedLine {
  std::string use;      // as in unsupported_name(); "": a sentence of the library's own, in `what`
  std::string module;   // "": not known
  std::string symbol;   // what gives it away
  std::string what, means, advice;

  std::string text() const;
};

// What was noted of a group, and what the library itself had to say. Files only where the group has
// a single replica: of several, files_several_opened() tells those that are shared.
std::vector<UnsupportedLine> unsupported_lines(const replication::GroupControl& control);
// Of one process.
std::vector<UnsupportedLine> unsupported_lines(const os::UseTable& uses);
std::vector<UnsupportedLine> unsupported_lines(const analysis::Trace& trace);

// Files that more than one replica has opened for writing, ever.
std::vector<std::string> files_several_opened(const replication::GroupControl& control);

// One line each, as `auxin status` and `auxin locks` print them.
std::string to_text(const std::vector<UnsupportedLine>& lines);

}  // namespace auxin::cli
