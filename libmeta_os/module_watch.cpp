// SPDX-License-Identifier: Apache-2.0
#include "libmeta_os/module_watch.h"

#include <errno.h>

#include <atomic>

#include "libmeta_os/facets.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/modules.h"

namespace auxin::os {
namespace {

constinit std::atomic<unsigned long long> modules_seen{0};  // 0: not watching yet

}  // namespace

void watch_modules() { modules_seen.store(modules_added()); }

void notice_new_modules() {
  unsigned long long seen = modules_seen.load(std::memory_order_relaxed);
  if (seen == 0 || at_meta_level()) return;
  const unsigned long long added = modules_added();
  if (added == seen || !modules_seen.compare_exchange_strong(seen, added)) return;
  const MetaLevel meta;
  const int saved_errno = errno;
  refresh_modules();
  if (facets.process != nullptr) facets.process->modules_changed();
  errno = saved_errno;
}

}  // namespace auxin::os
