// SPDX-License-Identifier: Apache-2.0
//
// class Memory of <auxin/stm.h>.
#include <algorithm>
#include <mutex>

#include "auxin/stm.h"
#include "stmemu/interface/environment.h"
#include "stmemu/interface/memory_core.h"
#include "stmemu/interface/thread_activations.h"
#include "stmemu/interface/trespass.h"
#include "stmemu/memory/page_table.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {
namespace {

std::mutex opened_mutex;
std::vector<std::weak_ptr<MemoryCore>> opened;  // in the order of opening; under opened_mutex

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
  options.plain_guards = how.plain_guards;
  Result<Findings> findings = attach(core->physical, path, options);
  if (!findings) {
    // A client of an isolated memory gets as far as its controller, which does not answer.
    const Result<Identity> identity = PhysicalMemory::identify(path, how.any_machine);
    const bool isolated = identity && static_cast<Mode>(identity.value().superblock.mode) ==
                                          Mode::kIsolated;
    throw Failure(isolated ? Status::kUnreachable : Status::kRefused, findings.error());
  }
  core->found = findings->details;
  if (core->physical.mode() == Mode::kWindow) watch_for_trespass(*core);
  // What handles share is a token: running threads hold on to the core, and are no handles.
  const auto token = std::make_shared<std::shared_ptr<MemoryCore>>(core);
  const std::shared_ptr<MemoryCore> handle(token, core.get());
  const std::lock_guard lock(opened_mutex);
  opened.erase(std::remove_if(opened.begin(), opened.end(),
                              [](const auto& other) { return other.expired(); }),
               opened.end());
  opened.push_back(handle);
  return Memory(handle);
}

Memory Memory::current() {
  if (const Environment* mine = current_environment(); mine != nullptr) return mine->memory;
  const std::lock_guard lock(opened_mutex);
  for (const std::weak_ptr<MemoryCore>& candidate : opened) {
    const auto handle = candidate.lock();
    if (handle != nullptr && handle->forks == fork_count()) return Memory(handle);
  }
  return Memory();
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
  report.guard = physical.mode() == Mode::kIsolated  ? "controller"
                 : physical.mode() == Mode::kChecked ? "library"
                 : physical.window()->method() == WindowMethod::kMprotect
                     ? "mprotect"
                     : "userfaultfd";
  report.stores = physical.mode() == Mode::kIsolated  ? "controller"
                  : physical.mode() == Mode::kChecked ? "direct"
                  : physical.guarded() != nullptr ? "protection key"
                                                  : "system call";
  report.bank_size_bytes = physical.bank_bytes();
  report.free_bytes = PageTable(physical).free_pages() * kPageBytes;
  report.repairs = counted.repairs.load();
  report.losses = counted.losses.load();
  report.violations = counted.violations.load();
  report.recovered = counted.recovered.load();
  report.found_when_opened = core_->found;
  return report;
}

Mode Memory::mode() const { return core_->physical.mode(); }

const std::string& Memory::path() const { return core_->physical.path(); }

void* Memory::at_address(uint64_t address) const { return core_->physical.view() + address; }

bool Memory::contains(const void* pointer) const { return core_->physical.views(pointer); }

}  // namespace auxin::stm
