// SPDX-License-Identifier: Apache-2.0
#include "cli/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <initializer_list>

namespace auxin::cli {

void keep_standard_numbers() {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(number, F_GETFD) >= 0) continue;
    // The lowest free number is this one. That output is lost is told, of errors it can't be.
    const int mode = number == STDERR_FILENO ? O_WRONLY : O_RDONLY;
    if (open("/dev/null", mode) != number) return;
  }
}

}  // namespace auxin::cli
