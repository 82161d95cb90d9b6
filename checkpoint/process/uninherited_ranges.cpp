// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/uninherited_ranges.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <initializer_list>

#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

using os::raw_syscall;

constexpr size_t kLineSizeBytes = 4096 + 256;  // PATH_MAX and the numbers before it

// BEGIN-END in hexadecimal. False: another kind of line ("Size: 4 kB").
bool take_range(const char* line, uint64_t* begin, uint64_t* end) {
  uint64_t numbers[2] = {0, 0};
  const char* at = line;
  for (const char stop : {'-', ' '}) {
    uint64_t& number = numbers[stop == ' ' ? 1 : 0];
    const char* first = at;
    for (;; ++at) {
      if (*at >= '0' && *at <= '9') number = number * 16 + static_cast<uint64_t>(*at - '0');
      else if (*at >= 'a' && *at <= 'f')
        number = number * 16 + static_cast<uint64_t>(*at - 'a' + 10);
      else break;
    }
    if (at == first || *at != stop) return false;
    ++at;
  }
  *begin = numbers[0];
  *end = numbers[1];
  return true;
}

}  // namespace

bool for_each_uninherited_range(void (*visit)(uint64_t, uint64_t, void*), void* context) {
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>("/proc/self/smaps"),
                              O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char buffer[2 * kLineSizeBytes];
  size_t have = 0;
  uint64_t begin = 0, end = 0;
  long got;
  while ((got = raw_syscall(SYS_read, fd, reinterpret_cast<long>(buffer + have),
                            static_cast<long>(sizeof buffer - 1 - have))) != 0) {
    if (got == -EINTR) continue;
    if (got < 0) break;
    have += static_cast<size_t>(got);
    char* line = buffer;
    while (auto* stop = static_cast<char*>(
               memchr(line, '\n', have - static_cast<size_t>(line - buffer)))) {
      *stop = '\0';
      if (!take_range(line, &begin, &end) && strncmp(line, "VmFlags:", 8) == 0 &&
          (strstr(line, " dc") != nullptr || strstr(line, " wf") != nullptr))
        visit(begin, end, context);
      line = stop + 1;
    }
    have -= static_cast<size_t>(line - buffer);
    memmove(buffer, line, have);
    if (have == sizeof buffer - 1) break;  // no kernel writes such a line
  }
  raw_syscall(SYS_close, fd);
  return got == 0;
}

}  // namespace auxin::checkpoint
