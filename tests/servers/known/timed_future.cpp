// SPDX-License-Identifier: Apache-2.0
//
// timed_future: as timed_wait, but take waits for a std::future, whose state is an atomic and a
// futex and no lock of the C library.
#include <chrono>
#include <deque>
#include <future>
#include <mutex>

#include "known_server.h"

namespace known {

class TimedFuture : public Servant {
 public:
  TimedFuture() : Servant(Mix{1, 1, 0}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    std::lock_guard<std::mutex> hold(waiting_lock_);
    if (waiting_.empty()) return 0;
    waiting_.front().set_value(token);
    waiting_.pop_front();
    return 1;
  }
  CORBA::LongLong take(CORBA::Long token) override {
    std::future<CORBA::Long> future;
    {
      std::lock_guard<std::mutex> hold(waiting_lock_);
      waiting_.emplace_back();
      future = waiting_.back().get_future();
    }
    linger(token);
    return future.wait_for(std::chrono::microseconds(300)) == std::future_status::ready;
  }
  Dump* state() override {
    std::lock_guard<std::mutex> hold(waiting_lock_);
    return dump_of({static_cast<int64_t>(waiting_.size())});
  }

 private:
  std::mutex waiting_lock_;
  std::deque<std::promise<CORBA::Long>> waiting_;
};

}  // namespace known

int main(int argc, char** argv) {
  known::TimedFuture servant;
  return known::serve(argc, argv, servant);
}
