// SPDX-License-Identifier: Apache-2.0
//
// Memory for what hooks keep. Straight from the kernel: an allocator may have put itself before
// libc's mmap (tcmalloc does) and calls hooked functions in it, and the hook that needs the memory
// may be one of these.
//
// Thread safety: any thread, in any hook. errno is kept.
#pragma once

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

namespace auxin::os {

// Zeroed and this process's own; `fd`: a file to map privately, -1: none. Null: there is none.
inline void* map_private(size_t size_bytes, int fd = -1) {
  const int saved_errno = errno;
  const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_PRIVATE;
  const long address =
      syscall(SYS_mmap, nullptr, size_bytes, PROT_READ | PROT_WRITE, flags, long{fd}, 0L);
  errno = saved_errno;
  return address == -1 ? nullptr : reinterpret_cast<void*>(address);
}

inline void unmap_private(void* memory, size_t size_bytes) {
  const int saved_errno = errno;
  syscall(SYS_munmap, memory, size_bytes);
  errno = saved_errno;
}

}  // namespace auxin::os
