// SPDX-License-Identifier: Apache-2.0
//
// The snapshot of loaded modules. Memory comes from the kernel, never from malloc: a snapshot may
// be taken in a hook that the allocator itself called.
//
// Invariants: a published snapshot is sorted by `begin` and never changes or goes away.
#include "libmeta_os/modules.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "libmeta_os/private_memory.h"

namespace auxin::os {
namespace {

constexpr size_t kMaxModules = 1024;
constexpr size_t kMaxPathBytes = 128 * 1024;

struct Snapshot {
  unsigned long long added;
  size_t count;
  size_t path_bytes;
  Module modules[kMaxModules];
  char paths[kMaxPathBytes];
};

constinit std::atomic<Snapshot*> current{nullptr};

const char* base_name(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

void set_name(Module& module, const char* name) {
  const size_t length = strnlen(name, sizeof(module.name) - 1);
  memcpy(module.name, name, length);
  module.name[length] = '\0';
}

const char* keep_path(Snapshot& snapshot, const char* path) {
  const size_t size = strlen(path) + 1;
  if (snapshot.path_bytes + size > kMaxPathBytes) return "";
  char* const kept = snapshot.paths + snapshot.path_bytes;
  memcpy(kept, path, size);
  snapshot.path_bytes += size;
  return kept;
}

void set_executable_name(Module& module) {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
  path[length > 0 ? length : 0] = '\0';
  set_name(module, base_name(path));
}

int add_module(dl_phdr_info* info, size_t, void* context) {
  auto& snapshot = *static_cast<Snapshot*>(context);
  snapshot.added = info->dlpi_adds;
  if (snapshot.count == kMaxModules) return 1;
  uintptr_t begin = UINTPTR_MAX;
  uintptr_t end = 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD || (header.p_flags & PF_X) == 0) continue;
    begin = std::min<uintptr_t>(begin, info->dlpi_addr + header.p_vaddr);
    end = std::max<uintptr_t>(end, info->dlpi_addr + header.p_vaddr + header.p_memsz);
  }
  if (begin >= end) return 0;              // no code
  const bool first = snapshot.count == 0;  // the linker lists the program first
  Module& module = snapshot.modules[snapshot.count++];
  module.path = keep_path(snapshot, info->dlpi_name == nullptr ? "" : info->dlpi_name);
  module.base = info->dlpi_addr;
  module.begin = begin;
  module.end = end;
  module.executable = first;
  if (first) {
    set_executable_name(module);
  } else {
    set_name(module, base_name(module.path));
  }
  return 0;
}

const Snapshot* snapshot() {
  Snapshot* now = current.load(std::memory_order_acquire);
  if (now == nullptr) {
    refresh_modules();
    now = current.load(std::memory_order_acquire);
  }
  return now;
}

}  // namespace

void refresh_modules() {
  const int saved_errno = errno;
  void* const memory = map_private(sizeof(Snapshot));
  if (memory != nullptr) {
    auto* made = static_cast<Snapshot*>(memory);
    dl_iterate_phdr(add_module, made);
    std::sort(made->modules, made->modules + made->count,
              [](const Module& a, const Module& b) { return a.begin < b.begin; });
    Snapshot* before = current.load(std::memory_order_acquire);
    // Of two snapshots taken at once the one that saw more stays.
    while (before == nullptr || before->added <= made->added) {
      if (current.compare_exchange_weak(before, made, std::memory_order_acq_rel)) break;
    }
  }
  errno = saved_errno;
}

const Module* module_of(const void* address) {
  const Snapshot* const in = snapshot();
  if (in == nullptr) return nullptr;
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  const Module* const end = in->modules + in->count;
  const Module* after = std::upper_bound(in->modules, end, wanted,
                                         [](uintptr_t a, const Module& m) { return a < m.begin; });
  if (after == in->modules) return nullptr;
  const Module* const found = after - 1;
  return wanted < found->end ? found : nullptr;
}

void for_each_module(void (*visit)(const Module&, void*), void* context) {
  const Snapshot* const in = snapshot();
  if (in == nullptr) return;
  for (size_t i = 0; i < in->count; ++i) visit(in->modules[i], context);
}

unsigned long long modules_added() {
  unsigned long long added = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        *static_cast<unsigned long long*>(out) = info->dlpi_adds;
        return 1;
      },
      &added);
  return added;
}

unsigned long long modules_added_at_snapshot() {
  const Snapshot* const in = snapshot();
  return in == nullptr ? 0 : in->added;
}

}  // namespace auxin::os
