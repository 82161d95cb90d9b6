// SPDX-License-Identifier: Apache-2.0
//
// The superblocks of a memory file, found and judged before anything of it is mapped or believed.
// By raw system calls, and reading only: a file that shrinks meanwhile gives a short read, and no
// signal.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "stmemu/memory/format.h"

namespace auxin::stm {

struct Superblocks {
  Superblock copies[2] = {};  // of bank A, of bank B, as they were read
  bool good[2] = {};          // magic and checksum are right

  // The first good one; null: there is none.
  const Superblock* sound() const {
    return good[0] ? &copies[0] : good[1] ? &copies[1] : nullptr;
  }
};

// Where bank A's is damaged, bank B's is looked for where the file's size says that it is, then at
// every page of the first 64 MiB (some 10 ms).
Superblocks find_superblocks(int fd, uint64_t file_size_bytes);

// Empty, or why no superblock of the file is to be used: damage, another version, machine or kind.
// `any_machine`: accept a file that another machine made.
std::string superblock_fault(const Superblocks& found, bool any_machine);

// Empty, or why this process may not use a file with this status: another's, or open to others.
std::string owner_fault(const struct stat& status);

// Hash of this machine's identity, without giving it away; 0 where it has none.
uint64_t machine_identity();

// Of the file: banks, board and plain area.
uint64_t whole_file_bytes(const Superblock& superblock);
// Where the plain area begins.
uint64_t plain_offset(const Superblock& superblock);

}  // namespace auxin::stm
