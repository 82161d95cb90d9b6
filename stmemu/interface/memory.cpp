// SPDX-License-Identifier: Apache-2.0
//
// class Memory of <auxin/stm.h>.
#include <mutex>

#include "auxin/stm.h"
#include "stmemu/interface/memory_core.h"
#include "stmemu/interface/thread_activations.h"
#include "stmemu/memory/page_table.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {
namespace {

std::mutex current_mutex;
std::weak_ptr<MemoryCore> current_core;  // under current_mutex

}  // namespace

void Memory::create(const std::string& path, const NewMemory& how) {
  CreateOptions options;
  options.bank_size_bytes = how.size_bytes;
  options.mode = how.mode;
  options.durability = how.durability;
  const Result<bool> created = create_memory(path, options);
  if (!created) throw Failure(Status::kRefused, created.error());
}

Memory Memory::open(const std::string& path, const OpenMemory& how) {
  auto core = std::make_shared<MemoryCore>();
  core->policy = how.policy;
  core->forks = fork_count();
  AttachOptions options;
  options.any_machine = how.any_machine;
  Result<Findings> findings = attach(core->physical, path, options);
  if (!findings) throw Failure(Status::kRefused, findings.error());
  core->found = findings->details;
  const std::lock_guard lock(current_mutex);
  if (const auto known = current_core.lock(); known == nullptr || known->forks != fork_count()) {
    current_core = core;
  }
  return Memory(std::move(core));
}

Memory Memory::current() {
  const std::lock_guard lock(current_mutex);
  return Memory(current_core.lock());
}

void Memory::close() {
  core_.reset();
  ThreadActivations::mine().drop_unused();
}

MemoryReport Memory::report() const {
  PhysicalMemory& physical = core_->physical;
  const Statistics& counted = physical.board().statistics;
  MemoryReport report = {};
  report.mode = physical.mode();
  report.durability = physical.durability();
  report.bank_size_bytes = physical.bank_bytes();
  report.free_bytes = PageTable(physical).free_pages() * kPageBytes;
  report.repairs = counted.repairs.load();
  report.losses = counted.losses.load();
  report.violations = counted.violations.load();
  report.recovered = counted.recovered.load();
  report.found_when_opened = core_->found;
  return report;
}

const std::string& Memory::path() const { return core_->physical.path(); }

void* Memory::at_address(uint64_t address) const { return core_->physical.view() + address; }

bool Memory::contains(const void* pointer) const { return core_->physical.views(pointer); }

}  // namespace auxin::stm
