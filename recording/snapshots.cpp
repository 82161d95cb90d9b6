// SPDX-License-Identifier: Apache-2.0
#include "recording/snapshots.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "libmeta_os/guard.h"
#include "libmeta_os/private_memory.h"
#include "metamarkers/marker_stack.h"

namespace auxin::recording {
namespace {

constexpr uint64_t kLowestAddress = 0x10000, kHighestAddress = 0x7fff'ffff'ffff;
constexpr int kMaxBlocks = 700;

constinit std::atomic<int> file{-1};
using ClockFunction = uint64_t (*)();
constinit ClockFunction clock_of_recording = nullptr;
constinit std::atomic<bool> busy{false};
constinit std::atomic<uint32_t> taken[markers::kMaxJoinPoints];

struct Buffer {
  uint32_t used;
  int block_count;
  uint64_t seen[kMaxBlocks];
  alignas(8) unsigned char bytes[kMaxSnapshotBytes];
};
constinit Buffer* buffer = nullptr;

// How many bytes could be read.
uint32_t read_memory(uint64_t address, void* to, uint32_t size_bytes) {
  iovec local = {to, size_bytes};
  iovec remote = {reinterpret_cast<void*>(address), size_bytes};
  const long got = syscall(SYS_process_vm_readv, syscall(SYS_getpid), &local, 1, &remote, 1, 0);
  return got > 0 ? static_cast<uint32_t>(got) : 0;
}

// Adds a block, or as much of it as there is; null: nothing of it, or no room.
SnapshotBlock* add_block(uint64_t address, uint32_t size_bytes, uint32_t level) {
  Buffer& to = *buffer;
  if (to.block_count == kMaxBlocks ||
      to.used + sizeof(SnapshotBlock) + size_bytes + 8 > sizeof to.bytes) {
    return nullptr;
  }
  for (int i = 0; i < to.block_count; ++i)
    if (to.seen[i] == address) return nullptr;
  auto* block = reinterpret_cast<SnapshotBlock*>(to.bytes + to.used);
  unsigned char* content = to.bytes + to.used + sizeof(SnapshotBlock);
  uint32_t got = read_memory(address, content, size_bytes);
  // Across the end of what is mapped nothing is read at all on some kernels.
  for (uint32_t less = size_bytes / 2; got == 0 && less >= 64; less /= 2)
    got = read_memory(address, content, less);
  if (got == 0) return nullptr;
  const uint32_t padded = (got + 7) / 8 * 8;
  memset(content + got, 0, padded - got);
  *block = {address, got, level};
  to.seen[to.block_count++] = address;
  to.used += static_cast<uint32_t>(sizeof(SnapshotBlock)) + padded;
  return block;
}

// What the words of a block point to, from `begin_bytes` on.
void add_pointed(const SnapshotBlock* from, uint32_t begin_bytes, uint32_t before,
                 uint32_t size_bytes) {
  const auto* content = reinterpret_cast<const unsigned char*>(from + 1);
  for (uint32_t at = begin_bytes; at + 8 <= from->size_bytes; at += 8) {
    uint64_t word;
    memcpy(&word, content + at, sizeof word);
    if (word < kLowestAddress || word > kHighestAddress) continue;
    add_block(word - before, size_bytes, from->level + 1);
  }
}

void take(const markers::JoinPoint& join_point, uint16_t index, uint64_t object, bool leaving) {
  const int fd = file.load(std::memory_order_acquire);
  if (fd < 0 || object == 0 || index >= markers::kMaxJoinPoints) return;
  if (taken[index].load(std::memory_order_relaxed) >= kMaxSnapshots) return;
  if (busy.exchange(true, std::memory_order_acquire)) return;
  const os::MetaLevel meta;
  const int saved_errno = errno;
  taken[index].fetch_add(1, std::memory_order_relaxed);
  Buffer& to = *buffer;
  to.used = sizeof(SnapshotHeader);
  to.block_count = 0;
  if (const SnapshotBlock* root = add_block(object, kObjectBytes, 0)) {
    add_pointed(root, 0, kPointedBefore, kPointedBytes);
    // A second round over the blocks of the first; those that it adds are of a level of their own.
    const uint32_t end = to.used;
    for (uint32_t at = sizeof(SnapshotHeader); at < end;) {
      const auto* block = reinterpret_cast<const SnapshotBlock*>(to.bytes + at);
      at += static_cast<uint32_t>(sizeof(SnapshotBlock)) + (block->size_bytes + 7) / 8 * 8;
      if (block->level == 1) add_pointed(block, kPointedBefore, 0, kFurtherBytes);
    }
    SnapshotHeader header{};
    header.size_bytes = to.used;
    header.tid = static_cast<uint32_t>(syscall(SYS_gettid));
    header.clock = clock_of_recording();
    header.object = object;
    const markers::Marker* dispatcher =
        markers::this_thread().innermost(markers::Role::kDispatcher);
    header.dispatched = dispatcher != nullptr ? dispatcher->argument : 0;
    header.left = leaving ? 1 : 0;
    header.block_count = static_cast<uint16_t>(to.block_count);
    const char* name = join_point.name.c_str();
    memcpy(header.join_point, name,
           std::min(strlen(name), sizeof header.join_point - 1));
    memcpy(to.bytes, &header, sizeof header);
    // A disk that is full leaves a record that is not whole: the reader stops there.
    if (syscall(SYS_write, fd, to.bytes, to.used) != static_cast<long>(to.used)) file.store(-1);
  }
  busy.store(false, std::memory_order_release);
  errno = saved_errno;
}

}  // namespace

bool begin_snapshots(const char* path, uint64_t (*clock)()) {
  const os::MetaLevel meta;
  const int fd = static_cast<int>(
      syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (fd < 0) return false;
  if (buffer == nullptr) buffer = static_cast<Buffer*>(os::map_private(sizeof(Buffer)));
  const SnapshotFileHeader header = {kSnapshotMagic, kSnapshotVersion,
                                     static_cast<int32_t>(syscall(SYS_getpid))};
  if (buffer == nullptr || syscall(SYS_write, fd, &header, sizeof header) != sizeof header) {
    syscall(SYS_close, fd);
    return false;
  }
  clock_of_recording = clock;
  file.store(fd, std::memory_order_release);
  return true;
}

void snapshot_on_entering(const markers::JoinPoint& join_point, uint16_t index,
                          const markers::Arguments& arguments) {
  if (file.load(std::memory_order_relaxed) < 0) return;
  if (join_point.role == markers::Role::kUpcall) {
    const markers::Marker* dispatcher =
        markers::this_thread().innermost(markers::Role::kDispatcher);
    if (dispatcher != nullptr) take(join_point, index, dispatcher->argument, false);
  } else if (join_point.role == markers::Role::kWorkerTask) {
    take(join_point, index, arguments.integer[1], false);
  }
}

void snapshot_on_leaving(const markers::JoinPoint& join_point, uint16_t index) {
  if (file.load(std::memory_order_relaxed) < 0) return;
  if (join_point.role != markers::Role::kPlain &&
      join_point.role != markers::Role::kOutputBegins) {
    return;
  }
  const markers::Marker* top = markers::this_thread().top();
  if (top != nullptr && top->join_point == index) take(join_point, index, top->argument, true);
}

}  // namespace auxin::recording
