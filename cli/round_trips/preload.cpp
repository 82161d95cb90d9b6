// SPDX-License-Identifier: Apache-2.0
//
// libauxin_round_trips.so: preloaded into the loads of `auxin locks --measure`, it times what a
// client waits for. It knows no protocol: on each connection that the process itself opened, from
// a send with nothing outstanding to the first bytes that come back.
//
// It is the same in each form of the run, so the ratios do not contain it. Twenty to sixty
// nanoseconds a call; nothing is allocated, errno stays. Without the region it only passes on.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "cli/round_trips/region.h"

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace {

using auxin::round_trips::Region;

constexpr int kMostDescriptors = 65536;  // those above are not timed
constexpr uint64_t kOpened = 1;          // no time has this value
// 0: not opened by a connect here; kOpened: nothing outstanding; else when the request was sent.
std::atomic<uint64_t> outstanding[kMostDescriptors];

Region* open_region() {
  const char* path = getenv(auxin::round_trips::kFileVariable);
  if (path == nullptr) return nullptr;
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  struct stat facts;
  void* memory = MAP_FAILED;
  if (fstat(fd, &facts) == 0 && facts.st_size >= static_cast<off_t>(sizeof(Region)))
    memory = mmap(nullptr, sizeof(Region), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  syscall(SYS_close, fd);  // close() itself is below
  if (memory == MAP_FAILED) return nullptr;
  auto* region = static_cast<Region*>(memory);
  return region->magic == auxin::round_trips::kMagic ? region : nullptr;
}

constinit std::atomic<Region*> region{nullptr};

__attribute__((constructor)) void begin() {
  const int error = errno;
  region.store(open_region());
  errno = error;
}

uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

std::atomic<uint64_t>* slot_of(int fd) {
  if (fd < 0 || fd >= kMostDescriptors) return nullptr;
  std::atomic<uint64_t>* slot = &outstanding[fd];
  return slot->load(std::memory_order_relaxed) == 0 ? nullptr : slot;
}

void before_send(int fd) {
  std::atomic<uint64_t>* slot = slot_of(fd);
  if (slot == nullptr) return;
  uint64_t expected = kOpened;
  if (slot->load(std::memory_order_relaxed) != kOpened) return;
  const uint64_t now = now_ns();
  if (!slot->compare_exchange_strong(expected, now)) return;
  if (Region* counts = region.load(std::memory_order_relaxed)) {
    uint64_t none = 0;
    if (counts->first_ns.load(std::memory_order_relaxed) == 0)
      counts->first_ns.compare_exchange_strong(none, now);
  }
}

ssize_t after_receive(int fd, ssize_t size) {
  std::atomic<uint64_t>* slot = size > 0 ? slot_of(fd) : nullptr;
  if (slot == nullptr || slot->load(std::memory_order_relaxed) == kOpened) return size;
  const int error = errno;
  const uint64_t sent = slot->exchange(kOpened);
  Region* counts = region.load(std::memory_order_relaxed);
  if (sent > kOpened && counts != nullptr) {
    const uint64_t now = now_ns();
    counts->buckets[auxin::round_trips::bucket_of(now - sent)].fetch_add(
        1, std::memory_order_relaxed);
    uint64_t last = counts->last_ns.load(std::memory_order_relaxed);
    while (last < now && !counts->last_ns.compare_exchange_weak(last, now)) {
    }
  }
  errno = error;
  return size;
}

// libc's own function, found at the first call.
template <typename Function>
Function* real(std::atomic<void*>& known, const char* name) {
  void* address = known.load(std::memory_order_relaxed);
  if (address == nullptr) {
    const int error = errno;
    address = dlsym(RTLD_NEXT, name);
    known.store(address, std::memory_order_relaxed);
    errno = error;
  }
  return reinterpret_cast<Function*>(address);
}

#define REAL(name)                                   \
  [] {                                               \
    static constinit std::atomic<void*> known{nullptr}; \
    return real<decltype(::name)>(known, #name);     \
  }()

}  // namespace

EXPORTED int connect(int fd, const sockaddr* address, socklen_t size) {
  const int result = REAL(connect)(fd, address, size);
  if ((result == 0 || errno == EINPROGRESS) && fd >= 0 && fd < kMostDescriptors &&
      address != nullptr && address->sa_family != AF_UNSPEC)
    outstanding[fd].store(kOpened, std::memory_order_relaxed);
  return result;
}

EXPORTED int close(int fd) {
  if (fd >= 0 && fd < kMostDescriptors) outstanding[fd].store(0, std::memory_order_relaxed);
  return REAL(close)(fd);
}

EXPORTED ssize_t send(int fd, const void* data, size_t size, int flags) {
  before_send(fd);
  return REAL(send)(fd, data, size, flags);
}

EXPORTED ssize_t sendto(int fd, const void* data, size_t size, int flags, const sockaddr* address,
                        socklen_t address_size) {
  before_send(fd);
  return REAL(sendto)(fd, data, size, flags, address, address_size);
}

EXPORTED ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  before_send(fd);
  return REAL(sendmsg)(fd, message, flags);
}

EXPORTED ssize_t write(int fd, const void* data, size_t size) {
  before_send(fd);
  return REAL(write)(fd, data, size);
}

EXPORTED ssize_t writev(int fd, const iovec* pieces, int count) {
  before_send(fd);
  return REAL(writev)(fd, pieces, count);
}

EXPORTED ssize_t recv(int fd, void* data, size_t size, int flags) {
  const ssize_t got = REAL(recv)(fd, data, size, flags);
  return (flags & MSG_PEEK) != 0 ? got : after_receive(fd, got);
}

EXPORTED ssize_t recvfrom(int fd, void* data, size_t size, int flags, sockaddr* address,
                          socklen_t* address_size) {
  const ssize_t got = REAL(recvfrom)(fd, data, size, flags, address, address_size);
  return (flags & MSG_PEEK) != 0 ? got : after_receive(fd, got);
}

EXPORTED ssize_t recvmsg(int fd, msghdr* message, int flags) {
  const ssize_t got = REAL(recvmsg)(fd, message, flags);
  return (flags & MSG_PEEK) != 0 ? got : after_receive(fd, got);
}

EXPORTED ssize_t read(int fd, void* data, size_t size) {
  return after_receive(fd, REAL(read)(fd, data, size));
}

EXPORTED ssize_t readv(int fd, const iovec* pieces, int count) {
  return after_receive(fd, REAL(readv)(fd, pieces, count));
}

// What a program built with _FORTIFY_SOURCE calls instead.
EXPORTED ssize_t __recv_chk(int fd, void* data, size_t size, size_t room, int flags) {
  static constinit std::atomic<void*> known{nullptr};
  using Call = ssize_t(int, void*, size_t, size_t, int);
  const ssize_t got = real<Call>(known, "__recv_chk")(fd, data, size, room, flags);
  return (flags & MSG_PEEK) != 0 ? got : after_receive(fd, got);
}

EXPORTED ssize_t __read_chk(int fd, void* data, size_t size, size_t room) {
  static constinit std::atomic<void*> known{nullptr};
  using Call = ssize_t(int, void*, size_t, size_t);
  return after_receive(fd, real<Call>(known, "__read_chk")(fd, data, size, room));
}
