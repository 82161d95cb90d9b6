// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/tracking_method.h"

#include <errno.h>
#include <sys/mman.h>

#include "checkpoint/tracking/page_run.h"
#include "checkpoint/tracking/written_pages.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

constexpr const char* kNames[kTrackingMethodCount] = {"automatic", "wp-async", "fault", "fork",
                                                      "full"};

bool equal(const char* a, const char* b) {
  for (; *a != 0 && *a == *b; ++a, ++b) {
  }
  return *a == *b;
}

// Stores to one of four pages, and looks whether just that one is told.
const char* tried_on(WrittenPages& written, uint64_t pages) {
  volatile char* bytes = reinterpret_cast<volatile char*>(pages);
  bytes[0] = 1;
  if (written.protect(pages, pages + 4 * kPageBytes) != 0) {
    return "userfaultfd does not protect memory";
  }
  bytes[kPageBytes] = 1;
  uint64_t told = 0;
  const RunVisitor add{&told, [](void* sum, const PageRun& run) {
                         *static_cast<uint64_t*>(sum) += run.bytes() / kPageBytes;
                       }};
  const int error = written.look(pages, pages + 4 * kPageBytes, add);
  if (error != 0 || told != 1) {
    return "PAGEMAP_SCAN is missing or tells something else";
  }
  return nullptr;
}

}  // namespace

const char* name_of(TrackingMethod method) {
  const uint32_t index = static_cast<uint32_t>(method);
  return index < kTrackingMethodCount ? kNames[index] : "unknown";
}

bool method_of_name(const char* name, TrackingMethod* method) {
  for (uint32_t i = 0; name != nullptr && i < kTrackingMethodCount; ++i) {
    if (!equal(name, kNames[i])) continue;
    *method = static_cast<TrackingMethod>(i);
    return true;
  }
  return false;
}

const char* why_not_wp_async() {
  WrittenPages written;
  const int error = written.open();
  if (error == EINVAL) return "the kernel has no asynchronous write protection (Linux 6.7 has)";
  if (error == EPERM || error == EACCES) return "userfaultfd or the page map is not permitted";
  if (error != 0) return "userfaultfd or the page map can't be opened";
  const long pages = os::raw_syscall(SYS_mmap, 0, 4 * kPageBytes, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const char* why = "no memory";
  if (pages > 0) {
    why = tried_on(written, static_cast<uint64_t>(pages));
    os::raw_syscall(SYS_munmap, pages, 4 * kPageBytes);
  }
  written.close();
  return why;
}

MethodChoice choose_method(TrackingMethod wanted) {
  switch (wanted) {
    case TrackingMethod::kAutomatic: {
      const char* why_not = why_not_wp_async();
      if (why_not == nullptr) return {TrackingMethod::kWpAsync, "the kernel's fastest", true};
      return {TrackingMethod::kFork, why_not, true};
    }
    case TrackingMethod::kWpAsync: {
      const char* why_not = why_not_wp_async();
      if (why_not != nullptr) return {wanted, why_not, false};
      return {wanted, "asked for", true};
    }
    default:
      return {wanted, "asked for", static_cast<uint32_t>(wanted) < kTrackingMethodCount};
  }
}

}  // namespace auxin::checkpoint
