// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <errno.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "replication/supervisor/descriptor.h"

namespace auxin::supervisor {

// All that can be read from a small file, of /proc or of a state directory. Nothing: errno says
// why. Does not block where the descriptor doesn't.
inline std::optional<std::string> read_to_end(const Descriptor& fd) {
  std::string text;
  char buffer[16384];
  for (;;) {
    const ssize_t size = read(fd.get(), buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return {};
    if (size == 0) return text;
    text.append(buffer, static_cast<size_t>(size));
  }
}

}  // namespace auxin::supervisor
