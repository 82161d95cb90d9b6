// SPDX-License-Identifier: Apache-2.0
//
// Hooks: opening files. The kernel's random sources mean something here: where the opener is a
// value source, what is read through the descriptor is a value (hooks_transfer.cpp). And a file
// that is opened for writing is told, because the replicas of one host may all write it.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libmeta_os/hooks.h"
#include "libmeta_os/reify.h"
#include "libmeta_os/reify_socket.h"

namespace auxin::os {
namespace {

bool is_random_source(const char* path) {
  return path != nullptr && (strcmp(path, "/dev/urandom") == 0 || strcmp(path, "/dev/random") == 0);
}

// "/proc/self/fd/NUMBER".
void name_descriptor(int fd, char (&link)[32]) {
  constexpr char kBegin[] = "/proc/self/fd/";
  memcpy(link, kBegin, sizeof kBegin);
  char* at = link + sizeof kBegin - 1;
  int divisor = 1;
  while (fd / divisor >= 10) divisor *= 10;
  for (; divisor > 0; divisor /= 10) *at++ = static_cast<char>('0' + fd / divisor % 10);
  *at = '\0';
}

bool begins_with(const char* text, const char* with) {
  return strncmp(text, with, strlen(with)) == 0;
}

// The path as the kernel knows it, so that replicas in different directories are told apart.
// A file without a name is nobody else's, and the kernel's own files are not written for others.
void tell_written_file(int fd, CallSite site) {
  if (facets.process == nullptr || facets.descriptors == nullptr || at_meta_level()) return;
  const MetaLevel meta;
  const int saved_errno = errno;
  struct stat file = {};
  char link[32];
  char path[1024];
  name_descriptor(fd, link);
  const bool named = syscall(SYS_fstat, fd, &file) == 0 && S_ISREG(file.st_mode) &&
                     file.st_nlink > 0;
  const long length = named ? syscall(SYS_readlink, link, path, sizeof path - 1) : 0;
  if (length > 0) {
    path[length] = '\0';
    if (!begins_with(path, "/proc/") && !begins_with(path, "/sys/")) {
      facets.process->unsupported(Unsupported::kFile, path, site);
    }
  }
  errno = saved_errno;
}

int opened(int fd, const char* path, bool written, CallSite site) {
  if (fd < 0) return fd;
  if (written) tell_written_file(fd, site);
  fresh(fd);
  if (is_random_source(path) && value_wanted(site)) set_mark(fd, kRandomSource, true);
  return fd;
}

bool to_write(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }

FILE* opened(FILE* file, const char* path, const char* mode, CallSite site) {
  if (file != nullptr) opened(::fileno(file), path, strpbrk(mode, "wa+") != nullptr, site);
  return file;
}

}  // namespace

int hook::open(const char* path, int flags, mode_t mode) {
  return opened(real().open(path, flags, mode), path, to_write(flags), AUXIN_CALL_SITE);
}

int hook::open64(const char* path, int flags, mode_t mode) {
  return opened(real().open64(path, flags, mode), path, to_write(flags), AUXIN_CALL_SITE);
}

int hook::__open_2(const char* path, int flags) {
  return opened(real().__open_2(path, flags), path, to_write(flags), AUXIN_CALL_SITE);
}

int hook::__open64_2(const char* path, int flags) {
  return opened(real().__open64_2(path, flags), path, to_write(flags), AUXIN_CALL_SITE);
}

int hook::openat(int directory, const char* path, int flags, mode_t mode) {
  const int fd = real().openat(directory, path, flags, mode);
  return opened(fd, path, to_write(flags), AUXIN_CALL_SITE);
}

int hook::openat64(int directory, const char* path, int flags, mode_t mode) {
  const int fd = real().openat64(directory, path, flags, mode);
  return opened(fd, path, to_write(flags), AUXIN_CALL_SITE);
}

int hook::creat(const char* path, mode_t mode) {
  return opened(real().creat(path, mode), path, true, AUXIN_CALL_SITE);
}

int hook::creat64(const char* path, mode_t mode) {
  return opened(real().creat64(path, mode), path, true, AUXIN_CALL_SITE);
}

int hook::unlink(const char* path) {
  if (facets.descriptors == nullptr || at_meta_level()) return real().unlink(path);
  return facets.descriptors->unlink(path, AUXIN_CALL_SITE);
}

int hook::chmod(const char* path, mode_t mode) {
  if (facets.descriptors == nullptr || at_meta_level()) return real().chmod(path, mode);
  return facets.descriptors->chmod(path, mode, AUXIN_CALL_SITE);
}

FILE* hook::fopen(const char* path, const char* mode) {
  return opened(real().fopen(path, mode), path, mode, AUXIN_CALL_SITE);
}

FILE* hook::fopen64(const char* path, const char* mode) {
  return opened(real().fopen64(path, mode), path, mode, AUXIN_CALL_SITE);
}

}  // namespace auxin::os
