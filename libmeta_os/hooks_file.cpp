// SPDX-License-Identifier: Apache-2.0
//
// Hooks: opening files. Only the kernel's random sources mean something here: where the opener is a
// value source, what is read through the descriptor is a value (hooks_transfer.cpp).
#include <fcntl.h>
#include <string.h>

#include "libmeta_os/hooks.h"
#include "libmeta_os/reify.h"
#include "libmeta_os/reify_socket.h"

namespace auxin::os {
namespace {

bool is_random_source(const char* path) {
  return path != nullptr && (strcmp(path, "/dev/urandom") == 0 || strcmp(path, "/dev/random") == 0);
}

int opened(int fd, const char* path, CallSite site) {
  if (fd < 0) return fd;
  fresh(fd);
  if (is_random_source(path) && value_wanted(site)) set_mark(fd, kRandomSource, true);
  return fd;
}

FILE* opened(FILE* file, const char* path, CallSite site) {
  if (file != nullptr) opened(::fileno(file), path, site);
  return file;
}

}  // namespace

int hook::open(const char* path, int flags, mode_t mode) {
  return opened(real().open(path, flags, mode), path, AUXIN_CALL_SITE);
}

int hook::open64(const char* path, int flags, mode_t mode) {
  return opened(real().open64(path, flags, mode), path, AUXIN_CALL_SITE);
}

int hook::__open_2(const char* path, int flags) {
  return opened(real().__open_2(path, flags), path, AUXIN_CALL_SITE);
}

int hook::__open64_2(const char* path, int flags) {
  return opened(real().__open64_2(path, flags), path, AUXIN_CALL_SITE);
}

int hook::openat(int directory, const char* path, int flags, mode_t mode) {
  return opened(real().openat(directory, path, flags, mode), path, AUXIN_CALL_SITE);
}

int hook::openat64(int directory, const char* path, int flags, mode_t mode) {
  return opened(real().openat64(directory, path, flags, mode), path, AUXIN_CALL_SITE);
}

int hook::creat(const char* path, mode_t mode) {
  return opened(real().creat(path, mode), path, AUXIN_CALL_SITE);
}

int hook::creat64(const char* path, mode_t mode) {
  return opened(real().creat64(path, mode), path, AUXIN_CALL_SITE);
}

int hook::unlink(const char* path) {
  if (facets.descriptors == nullptr || at_meta_level()) return real().unlink(path);
  return facets.descriptors->unlink(path, AUXIN_CALL_SITE);
}

FILE* hook::fopen(const char* path, const char* mode) {
  return opened(real().fopen(path, mode), path, AUXIN_CALL_SITE);
}

FILE* hook::fopen64(const char* path, const char* mode) {
  return opened(real().fopen64(path, mode), path, AUXIN_CALL_SITE);
}

}  // namespace auxin::os
