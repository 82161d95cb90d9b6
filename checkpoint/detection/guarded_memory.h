// SPDX-License-Identifier: Apache-2.0
//
// Memory between two pages that nobody may touch. Whoever runs over an end of it is stopped by
// SIGSEGV, after a sentence on standard error and a record in the process's log have said where.
//
// What had the signal before gets it then; its default ends the process.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>

namespace auxin::checkpoint {

// From now on such a fault is told. Once for the process; the handler stays.
void tell_of_overruns();

// `size_bytes` of zeros, rounded up to pages, between guard pages; `what`: its name in the
// sentence, valid for ever. `shared`: with children. `place`: where it should be, if that is free;
// null: anywhere. Null: no memory.
void* map_guarded(uint64_t size_bytes, bool shared, const char* what, void* place = nullptr);
void unmap_guarded(void* memory, uint64_t size_bytes);

}  // namespace auxin::checkpoint
