// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/log_size.h"

#include <errno.h>
#include <fmt/format.h>
#include <sys/statvfs.h>

#include <limits>

#include "replication/group_state.h"
#include "replication/supervisor/sentence.h"

namespace auxin::supervisor {
namespace {

constexpr uint64_t kEntrySizeBytes = 64;
constexpr uint64_t kSmallestEntries = 4096;
constexpr uint64_t kSmallestPayloadBytes = uint64_t{1} << 20;
constexpr uint64_t kHeaderBytes = 2 * 4096;  // the memory's and the log's own pages

}  // namespace

Result<stm::Layout> choose_layout(const LogSizeWish& wish, uint64_t free_bytes,
                                  const std::string& directory) {
  const uint64_t fixed = replication::kControlSizeBytes + kHeaderBytes;
  const uint64_t left = free_bytes > fixed ? free_bytes - fixed : 0;
  const bool all_named = wish.entries != 0 && wish.payload_bytes != 0;
  const uint64_t budget = all_named ? left : left / 2;

  stm::Layout layout;
  layout.control_size_bytes = replication::kControlSizeBytes;
  layout.entry_capacity = wish.entries != 0 ? wish.entries : kDefaultLogEntries;
  layout.payload_size_bytes = wish.payload_bytes != 0 ? wish.payload_bytes
                                                      : kDefaultLogPayloadBytes;
  auto size = [&] { return layout.entry_capacity * kEntrySizeBytes + layout.payload_size_bytes; };
  while (size() > budget) {
    // Halve the bigger part of those that the user left open.
    const bool entries_open =
        wish.entries == 0 && layout.entry_capacity > kSmallestEntries;
    const bool payload_open =
        wish.payload_bytes == 0 && layout.payload_size_bytes > kSmallestPayloadBytes;
    if (entries_open && (!payload_open || layout.entry_capacity * kEntrySizeBytes >
                                              layout.payload_size_bytes)) {
      layout.entry_capacity /= 2;
    } else if (payload_open) {
      layout.payload_size_bytes /= 2;
    } else {
      break;
    }
  }
  const bool any_named = wish.entries != 0 || wish.payload_bytes != 0;
  if (any_named && size() > budget) {
    return Error{fmt::format(
        "{}: the log cannot have the size asked for: {} are needed{}, {} are free; choose a "
        "smaller log.entries or log.payload, or another --state-dir",
        directory, describe_bytes(size() + fixed), all_named ? "" : " (at most half of the space)",
        describe_bytes(free_bytes))};
  }
  if (size() > budget || (!any_named && size() < kLeastLogBytes)) {
    return Error{fmt::format(
        "{}: not enough space for a log: {} are free, at least {} are needed; free some or choose "
        "another --state-dir",
        directory, describe_bytes(free_bytes), describe_bytes(2 * kLeastLogBytes + fixed))};
  }
  return layout;
}

Result<uint64_t> free_space_bytes(const std::string& directory) {
  struct statvfs space;
  if (statvfs(directory.c_str(), &space) != 0) {
    return failed(directory, "find out how much space is free", errno);
  }
  if (space.f_blocks == 0) return std::numeric_limits<uint64_t>::max() / 4;  // no limit
  return uint64_t{space.f_bavail} * space.f_frsize;
}

}  // namespace auxin::supervisor
