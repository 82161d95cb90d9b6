// SPDX-License-Identifier: Apache-2.0
#include "stmemu/interface/thread_activations.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>

#include "stmemu/transaction/contexts.h"

namespace auxin::stm {
namespace {

constinit std::atomic<uint64_t> forks{0};
constinit std::atomic<uint64_t> threads{0};

// In the child, which has one thread: what its parent's transactions left behind is not its own.
void count_fork() {
  forks.fetch_add(1, std::memory_order_relaxed);
  this_thread = {};
}

uint64_t next_number() { return threads.fetch_add(1, std::memory_order_relaxed) + 1; }

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

ThreadActivations::ThreadActivations() : forks_(fork_count()) {}

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
  forks_ = fork_count();
}

Status ThreadActivations::take(const std::shared_ptr<MemoryCore>& core, Activation** activation,
                               std::string* why) {
  if (forks_ != fork_count()) forget_the_parents();
  if (this_thread.number == 0) this_thread.number = next_number();
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
  // On standby no context is taken, so none that a dead processor left: its node ends those.
  const uint64_t holder = core->physical.board().node.holder.load(std::memory_order_acquire);
  const Status status = HolderWord::admits(holder, static_cast<uint32_t>(getpid()))
                            ? Activation::make(core->physical, &made)
                            : Status::kStandby;
  if (status != Status::kOk) {
    *why = status == Status::kStandby
               ? why_standby(holder)
           : status == Status::kBusy
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
  const auto unused = [](const Entry& entry) {
    return entry.core.use_count() == 1 && !entry.activation->active();
  };
  for (size_t index = 0; index < entries_.size();) {
    if (!unused(entries_[index])) {
      ++index;
      continue;
    }
    entries_[index].activation.reset();  // before its memory goes
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(index));
  }
}

}  // namespace auxin::stm
