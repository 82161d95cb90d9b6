// SPDX-License-Identifier: Apache-2.0
//
// With userfaultfd, registering for write protection as well costs nothing, lets a page be opened
// for reading only, and keeps the kernel from collapsing the window into huge pages, which would
// open it.
#include "stmemu/protection/window.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stmemu/check.h"
#include "stmemu/file.h"

namespace auxin::stm {
namespace {

constexpr uint64_t kContinueWriteProtected = 1 << 1;  // UFFDIO_CONTINUE_MODE_WP, Linux 6.4

// Opens [start, start + size), going on where the kernel stopped at a page that is open already.
bool continue_pages(int userfault, uint64_t start, uint64_t size_bytes, uint64_t mode) {
  const uint64_t end = start + size_bytes;
  while (start < end) {
    uffdio_continue request = {};
    request.range = {start, end - start};
    request.mode = UFFDIO_CONTINUE_MODE_DONTWAKE | mode;
    if (ioctl(userfault, UFFDIO_CONTINUE, &request) == 0) return true;
    if (errno == EEXIST) {
      start += 4096;
    } else if (errno == EAGAIN && request.mapped > 0) {
      start += static_cast<uint64_t>(request.mapped);
    } else if (errno != EAGAIN && errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<Window>> Window::make(int fd, uint64_t size_bytes, bool allow_userfault) {
  // Reserved without any access, so that there is no moment at which it is open.
  void* base = mmap(nullptr, size_bytes, PROT_NONE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return file_error("the window", "can't be mapped", errno);
  std::unique_ptr<Window> window(new Window(static_cast<char*>(base), size_bytes));
  madvise(base, size_bytes, MADV_DONTFORK);
  if (allow_userfault && window->guard_by_userfault()) window->method_ = WindowMethod::kUserfault;
  return window;
}

Window::~Window() {
  munmap(base_, size_bytes_);
  if (userfault_ >= 0) ::close(userfault_);
}

bool Window::guard_by_userfault() {
  const int userfault = static_cast<int>(
      syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY));
  if (userfault < 0) return false;
  uffdio_api api = {};
  api.api = UFFD_API;
  api.features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_MISSING_SHMEM |
                 UFFD_FEATURE_EXACT_ADDRESS | UFFD_FEATURE_PAGEFAULT_FLAG_WP |
                 UFFD_FEATURE_WP_HUGETLBFS_SHMEM;
  uffdio_register area = {};
  area.range = {reinterpret_cast<uint64_t>(base_), size_bytes_};
  area.mode = UFFDIO_REGISTER_MODE_MINOR | UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP;
  if (ioctl(userfault, UFFDIO_API, &api) != 0 ||
      ioctl(userfault, UFFDIO_REGISTER, &area) != 0 ||
      mprotect(base_, size_bytes_, PROT_READ | PROT_WRITE) != 0 ||
      madvise(base_, size_bytes_, MADV_NOHUGEPAGE) != 0) {
    mprotect(base_, size_bytes_, PROT_NONE);
    ::close(userfault);
    return false;
  }
  userfault_ = userfault;
  return true;
}

void Window::open(uint64_t offset, uint64_t size_bytes, bool for_change) {
  const int error = errno;
  bool opened;
  if (method_ == WindowMethod::kMprotect) {
    opened = mprotect(base_ + offset, size_bytes,
                      for_change ? PROT_READ | PROT_WRITE : PROT_READ) == 0;
  } else {
    const uint64_t start = reinterpret_cast<uint64_t>(base_ + offset);
    opened = continue_pages(userfault_, start, size_bytes,
                            for_change ? 0 : kContinueWriteProtected);
    if (!opened && !for_change && errno == EINVAL) {  // before Linux 6.4
      uffdio_writeprotect protect = {};
      protect.range = {start, size_bytes};
      protect.mode = UFFDIO_WRITEPROTECT_MODE_WP;
      opened = continue_pages(userfault_, start, size_bytes, 0) &&
               ioctl(userfault_, UFFDIO_WRITEPROTECT, &protect) == 0;
    }
  }
  CHECK(opened, "the kernel opens pages of a window");
  errno = error;
}

void Window::close(uint64_t offset, uint64_t size_bytes) {
  const int error = errno;
  const bool closed = method_ == WindowMethod::kMprotect
                          ? mprotect(base_ + offset, size_bytes, PROT_NONE) == 0
                          : madvise(base_ + offset, size_bytes, MADV_DONTNEED) == 0;
  CHECK(closed, "the kernel closes pages of a window");
  errno = error;
}

}  // namespace auxin::stm
