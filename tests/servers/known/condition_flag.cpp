// SPDX-License-Identifier: Apache-2.0
//
// condition_flag: a queue with a worker as in condition_variable, but how many jobs are open is
// kept in an atomic beside the mutex, and look reads it without.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "known_server.h"

namespace known {

class ConditionFlag : public Servant {
 public:
  ConditionFlag() : Servant(Mix{1, 0, 1}), worker_([this] { work(); }) {}

  CORBA::LongLong put(CORBA::Long token) override {
    open_.fetch_add(1, std::memory_order_relaxed);
    linger(token);
    Job job{token};
    std::unique_lock<std::mutex> hold(queue_lock_);
    queue_.push_back(&job);
    queued_.notify_one();
    done_.wait(hold, [&job] { return job.done; });
    return job.result;
  }
  CORBA::LongLong look(CORBA::Long token) override {
    linger(token);
    return open_.load(std::memory_order_relaxed);
  }
  Dump* state() override {
    std::lock_guard<std::mutex> hold(queue_lock_);
    return dump_of(ledger_.values());
  }

 private:
  struct Job {
    int64_t token;
    int64_t result = 0;
    bool done = false;
  };

  void work() {
    std::unique_lock<std::mutex> hold(queue_lock_);
    for (;;) {
      queued_.wait(hold, [this] { return !queue_.empty(); });
      Job* const job = queue_.front();
      queue_.pop_front();
      job->result = ledger_.append(job->token);
      job->done = true;
      open_.fetch_sub(1, std::memory_order_relaxed);
      done_.notify_all();
    }
  }

  std::atomic<int64_t> open_{0};
  std::mutex queue_lock_;
  std::condition_variable queued_, done_;
  std::deque<Job*> queue_;
  History ledger_;
  std::thread worker_;  // last: it uses the members above
};

}  // namespace known

int main(int argc, char** argv) {
  auto* const servant = new known::ConditionFlag;  // for ever: its thread has no end
  return known::serve(argc, argv, *servant);
}
