// SPDX-License-Identifier: Apache-2.0
#include "stmemu/interface/trespass.h"

#include <stdio.h>
#include <string.h>

#include "auxin/stm.h"
#include "stmemu/interface/thread_activations.h"
#include "stmemu/protection/violation_trap.h"

namespace auxin::stm {
namespace {

thread_local constinit detail::Landing* innermost = nullptr;

// The fault itself is the program's, at an instruction of its own: nothing of the library is
// half done in this thread, so all of it may be used here.
bool judge(void* owner, const void* address, bool writing) {
  auto& core = *static_cast<MemoryCore*>(owner);
  Transaction* transaction = Transaction::current();
  const auto* place = static_cast<const char*>(address);
  const bool in_view = core.physical.views(address);
  const uint64_t offset = in_view ? static_cast<uint64_t>(place - core.physical.view()) : 0;
  if (in_view && transaction != nullptr && detail::show_again(*transaction, offset, writing)) {
    return true;  // the kernel had unmapped a page that is open
  }
  char where[160];
  snprintf(where, sizeof(where), "a %s at %p, %s%s", writing ? "store" : "load", address,
           in_view ? "in an object that is not open" : "in the banks themselves",
           transaction == nullptr ? ", outside of any transaction" : "");
  std::string why = where;
  const bool halts = core.policy == Policy::kHalt;
  core.physical.board().statistics.violations.fetch_add(1, std::memory_order_relaxed);
  if (transaction != nullptr && !halts) detail::abort_quietly(*transaction);
  if (halts || innermost == nullptr) {
    fprintf(stderr, "auxin: stable memory: access violation, %s: %s\n",
            halts ? "halted" : "transaction aborted, program ended", where);
    return false;
  }
  innermost->trespassed(Status::kNotOpen, why + "; the transaction is aborted");
}

}  // namespace

void watch_for_trespass(MemoryCore& core) {
  PhysicalMemory& physical = core.physical;
  const uint64_t both = 2 * physical.bank_bytes();
  watch_area(physical.view(), physical.bank_bytes(), judge, &core);
  watch_area(physical.mapped(), both, judge, &core);
  if (physical.guarded() != nullptr) watch_area(physical.guarded(), both, judge, &core);
}

MemoryCore::~MemoryCore() { unwatch_areas(this); }

namespace detail {

Landing::Landing() : outer_(innermost) { innermost = this; }
Landing::~Landing() { innermost = outer_; }

void Landing::trespassed(Status status, const std::string& why) {
  status_ = status;
  strncpy(why_, why.c_str(), sizeof(why_) - 1);
  siglongjmp(place, 1);
}

void Landing::raise() const { detail::raise(status_, why_); }

}  // namespace detail
}  // namespace auxin::stm
