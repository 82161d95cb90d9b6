// SPDX-License-Identifier: Apache-2.0
//
// Making a memory file with a group's part in it. Only the command does this, never a server.
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include <algorithm>

#include "stmemu/file.h"
#include "stmemu/log/log_area.h"
#include "stmemu/random_word.h"
#include "stmemu/log/stable_memory.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {
namespace {

// Of the area, all that stands before the log's rings gets storage at creation.
uint64_t fixed_size_bytes(const Layout& layout) { return entries_offset(layout); }

// Empty unless the file system is too small to begin with.
std::string space_fault(const std::string& directory, const Layout& layout) {
  const uint64_t least =
      PhysicalMemory::fixed_bytes(kGroupBankBytes) +
      std::min(area_size_bytes(layout), fixed_size_bytes(layout) + kReserveAheadBytes);
  struct statvfs space;
  if (statvfs(directory.c_str(), &space) != 0) return {};  // opening it will tell why
  if (space.f_blocks == 0) return {};                      // a tmpfs without a limit
  const uint64_t free_bytes = uint64_t{space.f_bavail} * space.f_frsize;
  if (free_bytes >= least) return {};
  return "not enough space: the file system of " + directory + " has " + mebibytes(free_bytes) +
         " free, a stable memory of this layout needs at least " + mebibytes(least) +
         "; free some, enlarge it, or choose another directory";
}

LogAreaHeader header_of(const Layout& layout, uint32_t control_version) {
  LogAreaHeader header{};
  memcpy(header.magic, kLogAreaMagic, sizeof(kLogAreaMagic));
  header.format_version = kLogAreaVersion;
  header.control_version = control_version;
  header.seed = random_word();
  header.control_size_bytes = layout.control_size_bytes;
  header.entry_capacity = layout.entry_capacity;
  header.payload_size_bytes = layout.payload_size_bytes;
  header.area_size_bytes = area_size_bytes(layout);
  header.checksum = header_checksum(header);
  return header;
}

}  // namespace

Result<StableMemory> StableMemory::create(const std::string& path, const Layout& layout,
                                          uint32_t control_version) {
  if (const char* fault = layout_fault(layout)) return Error{path + ": " + fault};
  if (std::string fault = space_fault(directory_of(path), layout); !fault.empty()) {
    return Error{path + ": " + fault};
  }
  CreateOptions options;
  options.bank_size_bytes = kGroupBankBytes;
  options.plain_size_bytes = area_size_bytes(layout);
  const auto fill = [&](NewFile& file, uint64_t offset) -> Result<bool> {
    const LogAreaHeader header = header_of(layout, control_version);
    const Result<bool> stored = file.take_storage(offset, fixed_size_bytes(layout));
    if (!stored) return stored;
    if (pwrite(file.fd(), &header, sizeof(header), static_cast<off_t>(offset)) !=
        static_cast<ssize_t>(sizeof(header))) {
      return file_error(path, "the log's header can't be written", errno);
    }
    return true;
  };
  const Result<bool> made = create_memory(path, options, fill);
  if (!made) return Error{made.error()};
  return open(path, control_version);
}

}  // namespace auxin::stm
