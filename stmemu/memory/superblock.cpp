// SPDX-License-Identifier: Apache-2.0
#include "stmemu/memory/superblock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "stmemu/file.h"
#include "stmemu/memory/board.h"

namespace auxin::stm {
namespace {

bool has_magic(const Superblock& block) {
  return memcmp(block.magic, kMemoryMagic, sizeof(kMemoryMagic)) == 0;
}

bool read_superblock(int fd, uint64_t offset, int bank, Superblock* block) {
  Superblock read = {};
  const long got = syscall(SYS_pread64, fd, &read, sizeof(read), static_cast<off_t>(offset));
  if (got != static_cast<long>(sizeof(read))) return false;
  *block = read;
  return has_magic(read) && read.checksum == superblock_checksum(read, bank) &&
         (bank == 0 || read.bank_size_bytes == offset);
}

// The size of a bank in a file of this size without a plain area; 0: no bank size gives it.
uint64_t bank_bytes_of(uint64_t file_bytes) {
  uint64_t low = kMinBankBytes / kPageBytes, high = file_bytes / 2 / kPageBytes + 1;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (memory_file_bytes(middle * kPageBytes) < file_bytes) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return memory_file_bytes(low * kPageBytes) == file_bytes ? low * kPageBytes : 0;
}

// Looks at each page that has storage and on which bank B can begin if there is a plain area.
bool search_second(int fd, uint64_t file_bytes, Superblock* block) {
  uint64_t offset = kMinBankBytes;
  while (offset < std::min(file_bytes, kMaxBankBytesWithPlain + 1)) {
    const long data = syscall(SYS_lseek, fd, static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0 && errno == ENXIO) return false;  // nothing but a hole from here on
    if (data > static_cast<long>(offset)) {
      offset = static_cast<uint64_t>(data) / kPageBytes * kPageBytes;
    }
    if (read_superblock(fd, offset, 1, block)) return true;
    offset += kPageBytes;
  }
  return false;
}

}  // namespace

uint64_t superblock_checksum(const Superblock& superblock, int bank) {
  return XXH3_64bits_withSeed(&superblock, offsetof(Superblock, checksum),
                              static_cast<uint64_t>(bank));
}

Superblocks find_superblocks(int fd, uint64_t file_size_bytes) {
  Superblocks found;
  found.good[0] = read_superblock(fd, 0, 0, &found.copies[0]);
  if (found.good[0]) {
    found.good[1] = read_superblock(fd, found.copies[0].bank_size_bytes, 1, &found.copies[1]);
    return found;
  }
  const uint64_t bank_bytes = bank_bytes_of(file_size_bytes);
  found.good[1] = (bank_bytes != 0 && read_superblock(fd, bank_bytes, 1, &found.copies[1])) ||
                  search_second(fd, file_size_bytes, &found.copies[1]);
  return found;
}

std::string superblock_fault(const Superblocks& found, bool any_machine) {
  // A version that this program can't judge may still say what it is.
  const Superblock* block = found.sound();
  if (block == nullptr && has_magic(found.copies[0]) &&
      found.copies[0].format_version != kMemoryFormatVersion) {
    block = &found.copies[0];
  }
  if (block == nullptr) {
    return has_magic(found.copies[0]) || has_magic(found.copies[1])
               ? "a stable memory whose superblocks are damaged in both banks"
               : "not a stable memory (made by auxin stm create)";
  }
  if (block->format_version != kMemoryFormatVersion) {
    return "its format is version " + std::to_string(block->format_version) +
           ", this program knows version " + std::to_string(kMemoryFormatVersion);
  }
  if (block->architecture != kArchitecture) {
    return "made on another architecture; it can be used on x86-64 only";
  }
  const uint64_t here = machine_identity();
  if (!any_machine && block->machine != 0 && here != 0 && block->machine != here) {
    return "made on another machine; if nobody uses it there any more, adopt it with "
           "auxin stm check --adopt";
  }
  if (block->bank_size_bytes < kMinBankBytes || block->bank_size_bytes > kMaxBankBytes ||
      block->bank_size_bytes % kPageBytes != 0 || block->mode > 2 || block->durability > 1) {
    return "its superblock makes no sense";
  }
  return {};
}

std::string owner_fault(const struct stat& status) {
  if (status.st_uid != geteuid()) {
    return "belongs to user " + std::to_string(status.st_uid) + ", this is user " +
           std::to_string(geteuid()) + "; a stable memory is its owner's alone";
  }
  if ((status.st_mode & 077) != 0) {
    char mode[8];
    snprintf(mode, sizeof(mode), "%04o", status.st_mode & 07777u);
    return std::string("its mode is ") + mode +
           ", so others could use it; chmod 600 it first, if you trust its contents";
  }
  return {};
}

uint64_t machine_identity() {
  char text[33] = {};
  const FileDescriptor file(FileDescriptor::open("/etc/machine-id", O_RDONLY));
  if (!file.valid() || syscall(SYS_read, file.get(), text, 32) != 32) return 0;
  return XXH3_64bits_withSeed(text, 32, 0x4175'78696e) | 1;
}

uint64_t plain_offset(const Superblock& superblock) {
  return memory_file_bytes(superblock.bank_size_bytes);
}

uint64_t whole_file_bytes(const Superblock& superblock) {
  return plain_offset(superblock) + uint64_t{superblock.plain_pages} * kPageBytes;
}

}  // namespace auxin::stm
