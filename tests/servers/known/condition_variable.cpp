// SPDX-License-Identifier: Apache-2.0
//
// condition_variable: requests queue jobs, two worker threads do them, and each request waits for
// its own. Everything is under one mutex with two condition variables.
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "known_server.h"

namespace known {

class ConditionVariable : public Servant {
 public:
  ConditionVariable()
      : Servant(Mix{1, 0, 1}),
        first_worker_([this] { work(); }),
        second_worker_([this] { work(); }) {}

  CORBA::LongLong put(CORBA::Long token) override {
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
    std::lock_guard<std::mutex> hold(queue_lock_);
    return ledger_.digest() ^ static_cast<int64_t>(queue_.size());
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
      hold.unlock();
      linger(static_cast<CORBA::Long>(job->token));
      hold.lock();
      job->result = ledger_.append(job->token);
      job->done = true;
      done_.notify_all();
    }
  }

  std::mutex queue_lock_;
  std::condition_variable queued_, done_;
  std::deque<Job*> queue_;
  History ledger_;
  std::thread first_worker_, second_worker_;  // last: they use the members above
};

}  // namespace known

int main(int argc, char** argv) {
  auto* const servant = new known::ConditionVariable;  // for ever: its threads have no end
  return known::serve(argc, argv, *servant);
}
