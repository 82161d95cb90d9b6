// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <errno.h>
#include <fmt/format.h>
#include <stdio.h>
#include <string.h>

#include "replication/supervisor/progress.h"

namespace auxin::cli {

int refuse(const std::string& sentence) {
  supervisor::say_line(sentence);
  return kRefused;
}

int print(const std::string& text) {
  if (fwrite(text.data(), 1, text.size(), stdout) == text.size() && fflush(stdout) == 0) {
    return kDone;
  }
  if (errno != EPIPE) {
    supervisor::say_line(fmt::format("cannot write to standard output: {}",
                                     strerrordesc_np(errno)));
  }
  return kFailed;
}

}  // namespace auxin::cli
