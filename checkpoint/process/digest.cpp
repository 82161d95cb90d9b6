// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/digest.h"

#include <cpuid.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#define XXH_INLINE_ALL
#define XXH_NO_STDLIB
#include <xxhash.h>

#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {

using os::raw_syscall;

uint64_t digest(const void* data, size_t size_bytes) { return XXH3_64bits(data, size_bytes); }

bool digest_file(const char* path, uint64_t* size_bytes, uint64_t* first_page_digest) {
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path),
                              O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return false;
  struct stat about{};
  const bool known = raw_syscall(SYS_fstat, fd, reinterpret_cast<long>(&about)) == 0;
  *size_bytes = S_ISREG(about.st_mode) ? static_cast<uint64_t>(about.st_size) : 0;
  *first_page_digest = 0;
  char page[kPageSizeBytes];
  const long got = *size_bytes == 0 ? 0
                                    : raw_syscall(SYS_pread64, fd, reinterpret_cast<long>(page),
                                                  sizeof page, 0);
  if (got > 0) *first_page_digest = digest(page, static_cast<size_t>(got));
  raw_syscall(SYS_close, fd);
  return known && got >= 0;
}

namespace {

void copy_text(char* to, const char* from, size_t room) {
  size_t i = 0;
  for (; i + 1 < room && from[i] != '\0' && from[i] != '\n'; ++i) to[i] = from[i];
  for (; i < room; ++i) to[i] = '\0';
}

uint64_t cpu_digest() {
  uint32_t leaves[3][4] = {};
  __cpuid_count(1, 0, leaves[0][0], leaves[0][1], leaves[0][2], leaves[0][3]);
  leaves[0][1] &= 0x0000ff00;   // without the number of this very processor
  leaves[0][2] &= ~(1u << 27);  // OSXSAVE: the kernel's
  __cpuid_count(7, 0, leaves[1][0], leaves[1][1], leaves[1][2], leaves[1][3]);
  __cpuid_count(0xd, 1, leaves[2][0], leaves[2][1], leaves[2][2], leaves[2][3]);
  leaves[2][1] = 0;             // the size of what is in use just now
  return digest(leaves, sizeof leaves);
}

}  // namespace

void fill_binding(ImageBinding* binding, uint64_t vdso_begin, uint64_t vdso_end) {
  utsname names{};
  raw_syscall(SYS_uname, reinterpret_cast<long>(&names));
  copy_text(binding->kernel_release, names.release, sizeof binding->kernel_release);
  char boot[64] = {};
  const long fd = raw_syscall(SYS_openat, AT_FDCWD,
                              reinterpret_cast<long>("/proc/sys/kernel/random/boot_id"),
                              O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    raw_syscall(SYS_read, fd, reinterpret_cast<long>(boot), sizeof boot - 1);
    raw_syscall(SYS_close, fd);
  }
  copy_text(binding->boot_id, boot, sizeof binding->boot_id);
  binding->cpu_features = cpu_digest();
  uint32_t low = 0, high = 0;
  uint32_t a, b, c, d;
  __cpuid_count(1, 0, a, b, c, d);
  if ((c & (1u << 27)) != 0) asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  binding->xsave_mask = uint64_t{high} << 32 | low;
  binding->vdso_digest =
      vdso_begin == 0 ? 0
                      : digest(reinterpret_cast<const void*>(vdso_begin), vdso_end - vdso_begin);
}

}  // namespace auxin::checkpoint
