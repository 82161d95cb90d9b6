// SPDX-License-Identifier: Apache-2.0
#include "cli/lock_counts.h"

#include <errno.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/uio.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <string_view>

#include "replication/supervisor/group_memory.h"
#include "replication/supervisor/processes.h"

namespace auxin::cli {
namespace {

constexpr char kBlockName[] = "auxin-counters";

void add(LockRow& row, const os::CounterRow& counts) {
  row.total += counts.total;
  row.intercepted += counts.intercepted;
  row.ordered += counts.ordered;
}

// One row per site class, as tables by library and by join point.
class Table {
 public:
  void add_class(const os::SiteClass& site, unsigned index, const os::CounterRow& counts) {
    if (counts.total == 0 && counts.intercepted == 0 && counts.ordered == 0) return;
    std::string library = supervisor::load_text(site.library);
    if (library.empty()) library = index == 0 ? "(not classified)" : "(unknown)";
    const std::string join_point = supervisor::load_text(site.join_point);
    LockRow& by_library = libraries_[library];
    by_library.library = library;
    add(by_library, counts);
    LockRow& by_join_point = join_points_[{library, join_point}];
    by_join_point.library = library;
    by_join_point.join_point = join_point;
    add(by_join_point, counts);
  }

  LockCounts counts(uint64_t requests) const {
    LockCounts result;
    result.requests = requests;
    for (const auto& [name, row] : libraries_) {
      result.by_library.push_back(row);
      result.total += row.total;
      result.intercepted += row.intercepted;
      result.ordered += row.ordered;
    }
    for (const auto& [name, row] : join_points_) result.by_join_point.push_back(row);
    for (auto* rows : {&result.by_library, &result.by_join_point}) {
      std::stable_sort(rows->begin(), rows->end(), [](const LockRow& left, const LockRow& right) {
        return left.total > right.total;
      });
    }
    return result;
  }

 private:
  std::map<std::string, LockRow> libraries_;
  std::map<std::pair<std::string, std::string>, LockRow> join_points_;
};

unsigned bounded_class_count(uint32_t count) {
  return std::min<uint32_t>(std::max<uint32_t>(count, 1), os::kMaxSiteClasses);
}

// Where the counter block is in the process; 0: nowhere.
uint64_t block_address(int pid) {
  std::ifstream maps(fmt::format("/proc/{}/maps", pid));
  std::string line;
  while (std::getline(maps, line)) {
    if (line.find(kBlockName) == std::string::npos) continue;
    unsigned long long address = 0, offset = 0;
    if (sscanf(line.c_str(), "%llx-%*x %*s %llx", &address, &offset) == 2 && offset == 0) {
      return address;
    }
  }
  return 0;
}

Error unreadable(int pid, int error_number) {
  if (error_number == EPERM || error_number == EACCES) {
    return Error{fmt::format("process {} can't be looked into: {}; be its user (or root)", pid,
                             strerrordesc_np(error_number))};
  }
  return Error{fmt::format("process {} can't be looked into: {}", pid,
                           strerrordesc_np(error_number))};
}

}  // namespace

LockCounts count_locks(const replication::GroupControl& control) {
  Table table;
  const unsigned count = bounded_class_count(control.class_count.load(std::memory_order_acquire));
  for (unsigned i = 0; i < count; ++i) {
    os::CounterRow sum = control.base_rows[i];
    const os::CounterRow& now = control.leader_rows[i];
    sum.total += now.total;
    sum.intercepted += now.intercepted;
    sum.ordered += now.ordered;
    table.add_class(control.classes[i], i, sum);
  }
  LockCounts result = table.counts(control.requests.load(std::memory_order_relaxed));
  result.unsupported = unsupported_lines(control);
  return result;
}

Result<LockCounts> count_locks_of_process(int pid) {
  if (!supervisor::process_lives(pid)) {
    return Error{fmt::format("there is no process {}; give the pid of a running one", pid)};
  }
  {
    std::ifstream maps(fmt::format("/proc/{}/maps", pid));
    char first;
    errno = 0;
    if (!maps.get(first) && errno != 0) return unreadable(pid, errno);
  }
  const uint64_t address = block_address(pid);
  if (address == 0) {
    return Error{fmt::format("process {} runs without Auxin's library; start it with "
                             "LD_PRELOAD=libauxin.so or under `auxin run`",
                             pid)};
  }
  auto block = std::make_unique<os::CounterBlock>();
  const iovec local = {block.get(), sizeof(*block)};
  const iovec remote = {reinterpret_cast<void*>(address), sizeof(*block)};
  const ssize_t size = process_vm_readv(pid, &local, 1, &remote, 1, 0);
  if (size < 0) return unreadable(pid, errno);
  if (size != static_cast<ssize_t>(sizeof(*block)) || block->magic != os::kCounterMagic ||
      block->version != os::kCounterVersion) {
    return Error{fmt::format("process {} counts in another way than this version of Auxin; use the "
                             "`auxin` that belongs to its library",
                             pid)};
  }
  Table table;
  const unsigned count = bounded_class_count(block->class_count.load());
  for (unsigned i = 0; i < count; ++i) {
    os::CounterRow sum{};
    for (const os::CounterShard& shard : block->shards) {
      sum.total += shard.rows[i].total;
      sum.intercepted += shard.rows[i].intercepted;
      sum.ordered += shard.rows[i].ordered;
    }
    table.add_class(block->classes[i], i, sum);
  }
  LockCounts result = table.counts(block->requests.load());
  result.unsupported = unsupported_lines(block->uses);
  return result;
}

}  // namespace auxin::cli
