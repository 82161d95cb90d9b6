// SPDX-License-Identifier: Apache-2.0
//
// Hooks: memory that is shared with other processes by name or key. The calls are libc's; that they
// are made is told, because nothing can be done about what others write there.
#include <sys/ipc.h>

#include "libmeta_os/hooks.h"

namespace auxin::os {
namespace {

void tell(const char* name, CallSite site) {
  if (facets.process == nullptr || at_meta_level()) return;
  facets.process->unsupported(Unsupported::kSharedMemory, name, site);
}

}  // namespace

int hook::shm_open(const char* name, int flags, mode_t mode) {
  const int fd = real().shm_open(name, flags, mode);
  if (fd >= 0) tell(name, AUXIN_CALL_SITE);
  return fd;
}

int hook::shmget(key_t key, size_t size, int flags) {
  const int segment = real().shmget(key, size, flags);
  if (segment >= 0 && key != IPC_PRIVATE) tell("shmget", AUXIN_CALL_SITE);
  return segment;
}

}  // namespace auxin::os
