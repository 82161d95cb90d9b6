// SPDX-License-Identifier: Apache-2.0
//
// What the supervisor tells the user while it works: lines on standard error, "auxin: …".
#pragma once

#include <fmt/format.h>
#include <stdio.h>

#include <string>
#include <utility>

#include "replication/supervisor/configuration.h"

namespace auxin::supervisor {

// One line, in one write: replicas write to the same descriptor.
inline void say_line(const std::string& text) {
  const std::string line = fmt::format("auxin: {}\n", text);
  fwrite(line.data(), 1, line.size(), stderr);
  fflush(stderr);
}

class Progress {
 public:
  Progress(Verbosity verbosity, std::string group) :
      verbosity_(verbosity), group_(std::move(group)) {}

  void error(const std::string& text) const { tell(Verbosity::kQuiet, text); }
  void event(const std::string& text) const { tell(Verbosity::kNormal, text); }
  void detail(const std::string& text) const { tell(Verbosity::kVerbose, text); }

 private:
  void tell(Verbosity least, const std::string& text) const {
    if (verbosity_ >= least) say_line(group_ + ": " + text);
  }
  Verbosity verbosity_;
  std::string group_;
};

}  // namespace auxin::supervisor
