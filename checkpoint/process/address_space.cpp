// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/address_space.h"

#include <fcntl.h>
#include <string.h>

#include "checkpoint/process/image_format.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

using os::raw_syscall;

constexpr size_t kLineSizeBytes = 4096 + 256;  // PATH_MAX and the numbers before it

int open_to_read(const char* path) {
  return static_cast<int>(
      raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path), O_RDONLY | O_CLOEXEC));
}

uint64_t take_hex(const char** at) {
  uint64_t number = 0;
  for (;; ++*at) {
    const char c = **at;
    if (c >= '0' && c <= '9') number = number * 16 + static_cast<uint64_t>(c - '0');
    else if (c >= 'a' && c <= 'f') number = number * 16 + static_cast<uint64_t>(c - 'a' + 10);
    else return number;
  }
}

// BEGIN-END PERMS OFFSET MAJOR:MINOR INODE   NAME
MappedRange parse(const char* line) {
  MappedRange range{};
  const char* at = line;
  range.begin = take_hex(&at);
  ++at;
  range.end = take_hex(&at);
  ++at;
  range.readable = at[0] == 'r';
  range.writable = at[1] == 'w';
  range.executable = at[2] == 'x';
  range.shared = at[3] == 's';
  at += 5;
  range.file_offset = take_hex(&at);
  ++at;
  range.device = take_hex(&at) << 32;
  ++at;
  range.device |= take_hex(&at);
  ++at;
  for (; *at >= '0' && *at <= '9'; ++at)
    range.inode = range.inode * 10 + static_cast<uint64_t>(*at - '0');
  while (*at == ' ') ++at;
  range.name = at;
  return range;
}

}  // namespace

bool for_each_mapped_range(bool (*visit)(const MappedRange&, void*), void* context) {
  const int fd = open_to_read("/proc/self/maps");
  if (fd < 0) return false;
  char buffer[2 * kLineSizeBytes];
  size_t have = 0;
  bool good = true;
  while (good) {
    const long got = raw_syscall(SYS_read, fd, reinterpret_cast<long>(buffer + have),
                                 static_cast<long>(sizeof buffer - 1 - have));
    if (got < 0) good = false;
    if (got <= 0) break;
    have += static_cast<size_t>(got);
    char* line = buffer;
    for (;;) {
      auto* end = static_cast<char*>(
          memchr(line, '\n', have - static_cast<size_t>(line - buffer)));
      if (end == nullptr) break;
      *end = '\0';
      if (!visit(parse(line), context)) good = false;
      line = end + 1;
      if (!good) break;
    }
    have -= static_cast<size_t>(line - buffer);
    memmove(buffer, line, have);
    if (have == sizeof buffer - 1) good = false;  // no kernel writes such a line
  }
  raw_syscall(SYS_close, fd);
  return good;
}

bool for_each_private_run(uint64_t begin, uint64_t end, bool of_file,
                          void (*visit)(uint64_t, uint64_t, void*), void* context) {
  const int fd = open_to_read("/proc/self/pagemap");
  if (fd < 0) return false;
  constexpr uint64_t kPresent = 1ull << 63, kSwapped = 1ull << 62, kOfFile = 1ull << 61;
  uint64_t run_begin = 0, run_pages = 0;
  uint64_t entries[512];
  for (uint64_t address = begin; address < end;) {
    const uint64_t left = (end - address) / kPageSizeBytes;
    const uint64_t count = left < 512 ? left : 512;
    const long got = raw_syscall(SYS_pread64, fd, reinterpret_cast<long>(entries),
                                 static_cast<long>(count * 8),
                                 static_cast<long>(address / kPageSizeBytes * 8));
    if (got <= 0) {
      raw_syscall(SYS_close, fd);
      return false;
    }
    for (long i = 0; i < got / 8; ++i, address += kPageSizeBytes) {
      const uint64_t entry = entries[i];
      const bool own = (entry & kSwapped) != 0 || ((entry & kPresent) != 0 &&
                                                   (!of_file || (entry & kOfFile) == 0));
      if (own) {
        if (run_pages++ == 0) run_begin = address;
      } else if (run_pages != 0) {
        visit(run_begin, run_pages, context);
        run_pages = 0;
      }
    }
  }
  if (run_pages != 0) visit(run_begin, run_pages, context);
  raw_syscall(SYS_close, fd);
  return true;
}

}  // namespace auxin::checkpoint
