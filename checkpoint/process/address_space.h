// SPDX-License-Identifier: Apache-2.0
//
// The process's own address space, as /proc/self/maps tells it.
//
// Reads with raw system calls into memory that the caller gives: fit for the time when all other
// threads are stopped.
#pragma once

#include <cstddef>
#include <cstdint>

namespace auxin::checkpoint {

struct MappedRange {
  uint64_t begin, end, file_offset;
  uint64_t device, inode;          // of its file, else 0
  bool readable, writable, executable, shared;
  const char* name;                // path, "[stack]", "" …; ends with a zero; valid in visit only
};

// Calls visit for each range in order of address, until it returns false.
// False: the file could not be read, or visit said so.
bool for_each_mapped_range(bool (*visit)(const MappedRange&, void* context), void* context);

// Which of the pages of [begin, end) hold something that the mapping itself does not give: present
// or swapped out, and no page of the file. One visit for each run of such pages, in order.
// False: /proc/self/pagemap can't be read.
bool for_each_private_run(uint64_t begin, uint64_t end, bool of_file,
                          void (*visit)(uint64_t address, uint64_t page_count, void* context),
                          void* context);

}  // namespace auxin::checkpoint
