// SPDX-License-Identifier: Apache-2.0
//
// Reading and writing this process's own memory through the kernel: where there is none (a file
// that was cut short below a mapping, a page that the hardware has lost, nothing mapped) the answer
// is false, and no signal.
//
// Thread safety: any thread, in a signal handler and in a child after fork, too. Raw system calls.
#pragma once

#include <cstdint>

namespace auxin::checkpoint {

// False: some of it can't be read; what was read before is in `to`.
bool read_memory(void* to, uint64_t from, uint64_t size_bytes);
// False: some of it can't be written.
bool write_memory(uint64_t to, const void* from, uint64_t size_bytes);
// Whether something is mapped in all of it.
bool is_mapped(uint64_t address, uint64_t size_bytes);
// Whether each page of it can be read.
bool can_read(uint64_t address, uint64_t size_bytes);

}  // namespace auxin::checkpoint
