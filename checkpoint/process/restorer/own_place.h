// SPDX-License-Identifier: Apache-2.0
//
// Where auxin-restore and what it maps for itself lie: far from where the kernel puts programs,
// libraries, heaps and stacks, so that the memory of the image finds its old addresses free.
//
//   kOwnBegin      the program (see -Ttext-segment in CMakeLists.txt), its data and its stack
//   kSegmentsBegin the image's segments, one after the other
//   kMovingBegin   the vdso on its way
#pragma once

#include <cstdint>

namespace auxin::restorer {

inline constexpr uint64_t kOwnBegin = 0x200000000000;
inline constexpr uint64_t kSegmentsBegin = 0x210000000000;
inline constexpr uint64_t kMovingBegin = 0x2f0000000000;
inline constexpr uint64_t kOwnEnd = 0x300000000000;

}  // namespace auxin::restorer
