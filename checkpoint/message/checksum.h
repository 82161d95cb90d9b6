// SPDX-License-Identifier: Apache-2.0
//
// XXH3-64, with the widest vectors of this machine where the bytes are many.
#pragma once

#include <cstdint>

namespace auxin::checkpoint {

uint64_t checksum_of(const void* bytes, uint64_t size_bytes);
bool all_zeros(const void* bytes, uint64_t size_bytes);

}  // namespace auxin::checkpoint
