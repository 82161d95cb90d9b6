// SPDX-License-Identifier: Apache-2.0
//
// own_workers: threads of the application's own do the jobs of requests in an order that is
// settled, but count them in an atomic whose value they give to the replies.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "known_server.h"

namespace known {

class OwnWorkers : public Servant {
 public:
  OwnWorkers() : Servant(Mix{1, 0, 0}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    Job job{token, 0, false};
    std::unique_lock<std::mutex> hold(jobs_lock_);
    jobs_.push_back(&job);
    changed_.notify_all();
    changed_.wait(hold, [&job] { return job.done; });
    return job.result;
  }
  Dump* state() override { return dump_of({count_.load()}); }

  [[noreturn]] void work() {
    for (;;) {
      std::unique_lock<std::mutex> hold(jobs_lock_);
      changed_.wait(hold, [this] { return !jobs_.empty(); });
      Job* const job = jobs_.front();
      jobs_.pop_front();
      hold.unlock();
      linger(job->token);
      const int64_t count = ++count_;
      hold.lock();
      job->result = count;
      job->done = true;
      changed_.notify_all();
    }
  }

 private:
  struct Job {
    CORBA::Long token;
    int64_t result;
    bool done;
  };

  std::mutex jobs_lock_;
  std::condition_variable changed_;
  std::deque<Job*> jobs_;
  std::atomic<int64_t> count_{0};
};

}  // namespace known

int main(int argc, char** argv) {
  known::OwnWorkers servant;
  for (int i = 0; i < 4; ++i) std::thread([&servant] { servant.work(); }).detach();
  return known::serve(argc, argv, servant);
}
