// SPDX-License-Identifier: Apache-2.0
#include "stmemu/interface/thread_activations.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>

namespace auxin::stm {
namespace {

constinit std::atomic<uint64_t> forks{0};
constinit std::atomic<uint64_t> threads{0};

void count_fork() { forks.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

uint64_t fork_count() {
  static const int registered = pthread_atfork(nullptr, nullptr, count_fork);
  static_cast<void>(registered);
  return forks.load(std::memory_order_relaxed);
}

ThreadActivations& ThreadActivations::mine() {
  thread_local ThreadActivations activations;
  return activations;
}

ThreadActivations::ThreadActivations()
    : thread(threads.fetch_add(1, std::memory_order_relaxed) + 1), forks_(fork_count()) {}

ThreadActivations::~ThreadActivations() {
  if (forks_ != fork_count()) forget_the_parents();
}

// After a fork the contexts are still the parent's: nothing here may be touched, nor given back.
void ThreadActivations::forget_the_parents() {
  for (Entry& entry : entries_) {
    static_cast<void>(entry.activation.release());
    static_cast<void>(new std::shared_ptr<MemoryCore>(std::move(entry.core)));
  }
  entries_.clear();
  current = nullptr;
  forks_ = fork_count();
}

Status ThreadActivations::take(const std::shared_ptr<MemoryCore>& core, Activation** activation,
                               std::string* why) {
  if (forks_ != fork_count()) forget_the_parents();
  if (core->forks != forks_) {
    *why = "this memory was opened by the parent of this process; open it again here";
    return Status::kDetached;
  }
  for (Entry& entry : entries_) {
    if (entry.core != core) continue;
    if (entry.activation->active()) {
      *why = "this thread's transaction in this memory has not ended";
      return Status::kNested;
    }
    *activation = entry.activation.get();
    return Status::kOk;
  }
  drop_unused();
  std::unique_ptr<Activation> made;
  const Status status = Activation::make(core->physical, &made);
  if (status != Status::kOk) {
    *why = status == Status::kBusy
               ? "all " + std::to_string(kContexts) +
                     " contexts of the memory are in use: too many threads run transactions in it"
               : "there is no room for another transaction's descriptor";
    return status;
  }
  made->set_policy(core->policy);
  *activation = made.get();
  entries_.push_back({core, std::move(made)});
  return Status::kOk;
}

void ThreadActivations::drop_unused() {
  entries_.erase(std::remove_if(entries_.begin(), entries_.end(),
                                [](const Entry& entry) {
                                  return entry.core.use_count() == 1 &&
                                         !entry.activation->active();
                                }),
                 entries_.end());
}

}  // namespace auxin::stm
