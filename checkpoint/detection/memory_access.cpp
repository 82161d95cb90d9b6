// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/detection/memory_access.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "checkpoint/tracking/page_run.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

using os::raw_syscall;

// The kernel takes less than 2 GiB at a time.
constexpr uint64_t kMostAtOnce = uint64_t{1} << 30;

bool transfer(long call, uint64_t own, uint64_t through_kernel, uint64_t size_bytes) {
  const long process = raw_syscall(SYS_getpid);  // of the child, in a child
  for (uint64_t done = 0; done < size_bytes;) {
    const uint64_t left = size_bytes - done;
    const uint64_t some = left < kMostAtOnce ? left : kMostAtOnce;
    const iovec local{reinterpret_cast<void*>(own + done), some};
    const iovec remote{reinterpret_cast<void*>(through_kernel + done), some};
    const long moved = raw_syscall(call, process, reinterpret_cast<long>(&local), 1,
                                   reinterpret_cast<long>(&remote), 1, 0);
    if (moved == -EINTR) continue;
    if (moved <= 0) return false;
    done += static_cast<uint64_t>(moved);
  }
  return true;
}

}  // namespace

bool read_memory(void* to, uint64_t from, uint64_t size_bytes) {
  return transfer(SYS_process_vm_readv, reinterpret_cast<uint64_t>(to), from, size_bytes);
}

bool write_memory(uint64_t to, const void* from, uint64_t size_bytes) {
  return transfer(SYS_process_vm_writev, reinterpret_cast<uint64_t>(from), to, size_bytes);
}

bool is_mapped(uint64_t address, uint64_t size_bytes) {
  const uint64_t begin = address / kPageBytes * kPageBytes;
  return raw_syscall(SYS_msync, static_cast<long>(begin),
                     static_cast<long>(address + size_bytes - begin), MS_ASYNC) != -ENOMEM;
}

bool can_read(uint64_t address, uint64_t size_bytes) {
  const uint64_t end = address + size_bytes;
  char byte;
  for (uint64_t at = address; at < end; at = (at / kPageBytes + 1) * kPageBytes) {
    if (!read_memory(&byte, at, 1)) return false;
  }
  return true;
}

}  // namespace auxin::checkpoint
