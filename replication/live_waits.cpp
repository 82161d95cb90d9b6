// SPDX-License-Identifier: Apache-2.0
#include "replication/live_waits.h"

#include "libmeta_os/real_calls.h"
#include "replication/futex.h"

namespace auxin::replication {
namespace {

constinit FutexLock waits_lock;
constinit LiveWait* first = nullptr;

}  // namespace

LiveWait::LiveWait(pthread_cond_t* cond) : cond_(cond), next_(nullptr), link_(&first) {
  FutexGuard guard(waits_lock);
  next_ = first;
  if (next_ != nullptr) next_->link_ = &next_;
  first = this;
}

LiveWait::~LiveWait() {
  FutexGuard guard(waits_lock);
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
}

bool live_waits_are_steady() {
  if (!waits_lock.try_lock()) return false;
  waits_lock.unlock();
  return true;
}

void note_restored_waits() {
  for (LiveWait* wait = first; wait != nullptr; wait = wait->next_) wait->restored_ = true;
}

// Under the lock: who has left its wait can't return from it meanwhile, so its condition lives.
bool wake_restored_waits() {
  FutexGuard guard(waits_lock);
  bool any = false;
  for (LiveWait* wait = first; wait != nullptr; wait = wait->next_) {
    if (!wait->restored_) continue;
    any = true;
    os::real().pthread_cond_broadcast(wait->cond_);
  }
  return any;
}

}  // namespace auxin::replication
