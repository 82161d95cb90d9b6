// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/proc_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

using os::raw_syscall;

struct KernelDirent {
  uint64_t inode;
  int64_t offset;
  uint16_t size_bytes;
  uint8_t type;
  char name[1];
};

// Skips blanks and reads a number, decimal or with 0x; false: there is none.
bool next_number(const char** at, uint64_t* number) {
  while (**at == ' ') ++*at;
  const bool hex = (*at)[0] == '0' && (*at)[1] == 'x';
  if (hex) *at += 2;
  bool any = false;
  *number = 0;
  for (;; ++*at, any = true) {
    const char c = **at;
    uint64_t digit;
    if (c >= '0' && c <= '9') digit = static_cast<uint64_t>(c - '0');
    else if (hex && c >= 'a' && c <= 'f') digit = static_cast<uint64_t>(c - 'a' + 10);
    else return any;
    *number = *number * (hex ? 16 : 10) + digit;
  }
}

}  // namespace

char* append(char* to, const char* text) {
  while (*text != '\0') *to++ = *text++;
  *to = '\0';
  return to;
}

char* append_number(char* to, int number) {
  char digits[12];
  int count = 0;
  do digits[count++] = static_cast<char>('0' + number % 10);
  while ((number /= 10) != 0);
  while (count > 0) *to++ = digits[--count];
  *to = '\0';
  return to;
}

NumberedEntries::~NumberedEntries() {
  if (fd_ >= 0) raw_syscall(SYS_close, fd_);
}

bool NumberedEntries::open(const char* directory) {
  fd_ = static_cast<int>(raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(directory),
                                     O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd_ >= 0;
}

int NumberedEntries::next() {
  for (;;) {
    if (at_ >= size_) {
      size_ = raw_syscall(SYS_getdents64, fd_, reinterpret_cast<long>(buffer_), sizeof buffer_);
      at_ = 0;
      if (size_ <= 0) return -1;
    }
    const auto* entry = reinterpret_cast<const KernelDirent*>(buffer_ + at_);
    at_ += entry->size_bytes;
    const char* name = entry->name;
    uint64_t number;
    if (next_number(&name, &number) && *name == '\0') return static_cast<int>(number);
  }
}

long read_small_file(const char* path, char* to, size_t size_bytes) {
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path),
                              O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fd;
  size_t done = 0;
  long result;
  while (done + 1 < size_bytes &&
         (result = raw_syscall(SYS_read, fd, reinterpret_cast<long>(to + done),
                               static_cast<long>(size_bytes - 1 - done))) > 0)
    done += static_cast<size_t>(result);
  raw_syscall(SYS_close, fd);
  to[done] = '\0';
  return static_cast<long>(done);
}

CallBefore read_call_of_thread(int tid) {
  char path[64];
  *append(append_number(append(path, "/proc/self/task/"), tid), "/syscall") = '\0';
  char text[256];
  CallBefore call;
  if (read_small_file(path, text, sizeof text) <= 0) return call;
  // NUMBER ARG0 … ARG5 SP PC; or "running"; or "-1 SP PC" outside a call.
  const char* at = text;
  uint64_t numbers[9];
  for (uint64_t& number : numbers)
    if (!next_number(&at, &number)) return call;
  call.number = static_cast<int64_t>(numbers[0]);
  call.rsp = numbers[7];
  call.rip = numbers[8];
  return call;
}

bool main_thread_has_ended() {
  char path[64], text[512];
  const int pid = static_cast<int>(raw_syscall(SYS_getpid));
  *append(append_number(append(path, "/proc/self/task/"), pid), "/stat") = '\0';
  if (read_small_file(path, text, sizeof text) <= 0) return true;
  const char* state = strrchr(text, ')');
  return state != nullptr && (state[2] == 'Z' || state[2] == 'X');
}

}  // namespace auxin::checkpoint
