// SPDX-License-Identifier: Apache-2.0
//
// What linux/userfaultfd.h and linux/fs.h of newer kernels say, for the headers of Debian 12.
#pragma once

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include <cstdint>

namespace auxin::checkpoint::kernel {

// Features of userfaultfd.
inline constexpr uint64_t kWpShmem = uint64_t{1} << 12;
inline constexpr uint64_t kWpUnpopulated = uint64_t{1} << 13;
inline constexpr uint64_t kWpAsync = uint64_t{1} << 15;
inline constexpr int kUserModeOnly = 1;  // what an unprivileged process may have

// PAGEMAP_SCAN of /proc/PID/pagemap.
struct PageRegion {
  uint64_t start, end, categories;
};
struct ScanArgument {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
static_assert(sizeof(PageRegion) == 24 && sizeof(ScanArgument) == 96);
inline constexpr unsigned long kPagemapScan = _IOWR('f', 16, ScanArgument);

inline constexpr uint64_t kScanWriteProtect = 1;  // PM_SCAN_WP_MATCHING
inline constexpr uint64_t kPageIsWpAllowed = 1, kPageIsWritten = 2, kPageIsPresent = 8,
                          kPageIsSwapped = 16;

}  // namespace auxin::checkpoint::kernel
