// SPDX-License-Identifier: Apache-2.0
//
// Digests of what an image is bound to. XXH3, 64 bits: against accidents, not against attackers
// (images are their owner's alone, mode 0600).
#pragma once

#include <cstddef>
#include <cstdint>

#include "checkpoint/process/image_format.h"

namespace auxin::checkpoint {

uint64_t digest(const void* data, size_t size_bytes);

// Size and digest of the first page of a file; the digest of an empty or special file is 0. False:
// it can't be read.
bool digest_file(const char* path, uint64_t* size_bytes, uint64_t* first_page_digest);

// Of this machine, kernel and process, as it is now. The vdso is at [begin, end); 0: none.
void fill_binding(ImageBinding* binding, uint64_t vdso_begin, uint64_t vdso_end);

}  // namespace auxin::checkpoint
