// SPDX-License-Identifier: Apache-2.0
//
// class TaskRunner of <auxin/stm_entities.h>: a thread that runs a task, or waits for its turn.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "stmemu/entities/inside.h"
#include "stmemu/entities/task_entries.h"

namespace auxin::stm {
namespace {

constexpr uint64_t kTurn_us = 100'000;  // how long it waits for the lease before it looks at stop
constexpr std::chrono::milliseconds kFirstPause{1}, kLongestPause{1000};

}  // namespace

struct TaskRunner::Runner {
  Memory memory;
  std::string task;
  std::atomic<bool> stopping{false}, done{false};
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::string failure;  // under mutex
  std::thread thread;

  void run() {
    auto pause = kFirstPause;
    const StopWord word([this] { return stopping.load(); });
    while (!stopping.load()) {
      const auto started = std::chrono::steady_clock::now();
      try {
        done.store(run_task_in(memory, task, kTurn_us));
        if (done.load()) return;
        continue;
      } catch (const std::exception& why) {
        const std::lock_guard lock(mutex);
        failure = why.what();
      }
      // What fails at once is tried less and less often.
      const bool lasted = std::chrono::steady_clock::now() - started > kLongestPause;
      pause = lasted ? kFirstPause : std::min(2 * pause, kLongestPause);
      std::unique_lock lock(mutex);
      changed.wait_for(lock, pause, [this] { return stopping.load(); });
    }
  }
};

TaskRunner::TaskRunner(const Memory& memory, const std::string& task)
    : runner_(std::make_unique<Runner>()) {
  runner_->memory = memory;
  runner_->task = task;
  runner_->thread = std::thread([runner = runner_.get()] { runner->run(); });
}

TaskRunner::~TaskRunner() {
  stop();
  runner_->thread.join();
}

void TaskRunner::stop() {
  {
    const std::lock_guard lock(runner_->mutex);
    runner_->stopping.store(true);
  }
  runner_->changed.notify_all();
}

bool TaskRunner::done() const { return runner_->done.load(); }

std::string TaskRunner::last_failure() const {
  const std::lock_guard lock(runner_->mutex);
  return runner_->failure;
}

}  // namespace auxin::stm
