// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/written_pages.h"

#include <errno.h>
#include <fcntl.h>

#include "checkpoint/tracking/kernel_interface.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

using os::raw_syscall;

// On the stack of whoever looks, perhaps a small one: 12 KiB.
constexpr uint64_t kRegionsOfAScan = 512;

long control(int fd, unsigned long request, void* argument) {
  return raw_syscall(SYS_ioctl, fd, static_cast<long>(request),
                     reinterpret_cast<long>(argument));
}

int error_of(long result) { return result < 0 ? static_cast<int>(-result) : 0; }

// Out of the way of the numbers that a program gets for its own; where there are not so many, it
// stays where it is.
int out_of_the_way(long fd) {
  constexpr long kAboveThePrograms = 502;
  if (fd < 0) return static_cast<int>(fd);
  const long moved = raw_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, kAboveThePrograms);
  if (moved < 0) return static_cast<int>(fd);
  raw_syscall(SYS_close, fd);
  return static_cast<int>(moved);
}

// With the features that tracking needs. As a process without privileges may: faults of the kernel
// itself need no message either, the kernel resolves all of them.
int open_userfault() {
  const long fd =
      raw_syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | kernel::kUserModeOnly);
  if (fd < 0) return static_cast<int>(fd);
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = kernel::kWpShmem | kernel::kWpUnpopulated | kernel::kWpAsync;
  const long done = control(static_cast<int>(fd), UFFDIO_API, &api);
  if (done >= 0) return static_cast<int>(fd);
  raw_syscall(SYS_close, fd);
  return static_cast<int>(done);
}

}  // namespace

int WrittenPages::open() {
  const int userfault = open_userfault();
  if (userfault < 0) return -userfault;
  const long pagemap = raw_syscall(SYS_openat, AT_FDCWD,
                                   reinterpret_cast<long>("/proc/self/pagemap"),
                                   O_RDONLY | O_CLOEXEC);
  if (pagemap < 0) {
    raw_syscall(SYS_close, userfault);
    return static_cast<int>(-pagemap);
  }
  userfault_ = out_of_the_way(userfault);
  pagemap_ = out_of_the_way(pagemap);
  return 0;
}

void WrittenPages::close() {
  if (userfault_ >= 0) raw_syscall(SYS_close, userfault_);
  if (pagemap_ >= 0) raw_syscall(SYS_close, pagemap_);
  forget();
}

int WrittenPages::enrol(uint64_t begin, uint64_t end) {
  uffdio_register area{};
  area.range = {begin, end - begin};
  area.mode = UFFDIO_REGISTER_MODE_WP;
  return error_of(control(userfault_, UFFDIO_REGISTER, &area));
}

int WrittenPages::protect(uint64_t begin, uint64_t end) {
  const int error = enrol(begin, end);
  return error != 0 ? error : set_protection(begin, end, UFFDIO_WRITEPROTECT_MODE_WP);
}

int WrittenPages::protect_and_tell(uint64_t begin, uint64_t end, const RunVisitor& visitor) {
  const int error = enrol(begin, end);
  return error != 0 ? error
                    : scan(begin, end, kernel::kScanWriteProtect, 0, kernel::kPageIsWritten, 0,
                           kernel::kPageIsWritten | kernel::kPageIsPresent |
                               kernel::kPageIsSwapped,
                           visitor);
}

int WrittenPages::unprotect(uint64_t begin, uint64_t end) {
  return set_protection(begin, end, 0);
}

int WrittenPages::set_protection(uint64_t begin, uint64_t end, uint64_t mode) {
  uffdio_writeprotect protection{};
  protection.range = {begin, end - begin};
  protection.mode = mode;
  long done;
  do {
    done = control(userfault_, UFFDIO_WRITEPROTECT, &protection);
  } while (done == -EAGAIN || done == -EINTR);  // the address space was changing
  return error_of(done);
}

void WrittenPages::release(uint64_t begin, uint64_t end) {
  uffdio_range range{begin, end - begin};
  control(userfault_, UFFDIO_UNREGISTER, &range);
}

int WrittenPages::scan(uint64_t begin, uint64_t end, uint64_t flags, uint64_t inverted,
                       uint64_t mask, uint64_t any_of, uint64_t returned,
                       const RunVisitor& visitor) {
  kernel::PageRegion regions[kRegionsOfAScan];
  kernel::ScanArgument argument{};
  argument.size = sizeof(argument);
  argument.flags = flags;
  argument.start = begin;
  argument.end = end;
  argument.vec = reinterpret_cast<uint64_t>(regions);
  argument.vec_len = kRegionsOfAScan;
  argument.category_inverted = inverted;
  argument.category_mask = mask;
  argument.category_anyof_mask = any_of;
  argument.return_mask = returned;
  while (argument.start < end) {
    const long count = control(pagemap_, kernel::kPagemapScan, &argument);
    if (count == -EINTR) continue;
    if (count < 0) return static_cast<int>(-count);
    constexpr uint64_t kThere = kernel::kPageIsPresent | kernel::kPageIsSwapped;
    for (long i = 0; i < count; ++i) {
      const bool absent = (returned & kThere) == kThere && (regions[i].categories & kThere) == 0;
      visitor(PageRun{regions[i].start, regions[i].end,
                      absent ? RunKind::kAbsent : RunKind::kChanged});
    }
    if (argument.walk_end <= argument.start) return EIO;  // it would never end
    argument.start = argument.walk_end;
  }
  return 0;
}

int WrittenPages::look(uint64_t begin, uint64_t end, const RunVisitor& visitor) {
  return scan(begin, end, kernel::kScanWriteProtect, 0, kernel::kPageIsWritten, 0,
              kernel::kPageIsWritten, visitor);
}

bool WrittenPages::holds_pages(uint64_t begin, uint64_t end) {
  bool any = false;
  const RunVisitor note{&any, [](void* to, const PageRun&) { *static_cast<bool*>(to) = true; }};
  constexpr uint64_t kThere = kernel::kPageIsPresent | kernel::kPageIsSwapped;
  return scan(begin, end, 0, 0, 0, kThere, kThere, note) != 0 || any;
}

int WrittenPages::unprotected_areas(uint64_t begin, uint64_t end, const RunVisitor& visitor) {
  return scan(begin, end, 0, kernel::kPageIsWpAllowed, kernel::kPageIsWpAllowed, 0,
              kernel::kPageIsWpAllowed, visitor);
}

}  // namespace auxin::checkpoint
