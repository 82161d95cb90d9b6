// SPDX-License-Identifier: Apache-2.0
//
// poller: a thread of the application, as for a piece of hardware, leaves a measured value for
// requests without a lock. Its own steps are timed waits on a mutex that no request takes.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "known_server.h"

namespace known {

class Poller : public Servant {
 public:
  Poller() : Servant(Mix{0, 0, 1}), thread_([this] { poll(); }) {}

  CORBA::LongLong look(CORBA::Long token) override {
    linger(token);
    return measured_.load(std::memory_order_relaxed);
  }
  Dump* state() override { return dump_of({measured_.load()}); }

 private:
  void poll() {
    std::unique_lock<std::mutex> hold(pause_lock_);
    for (;;) {
      never_.wait_for(hold, std::chrono::microseconds(100));
      linger(static_cast<CORBA::Long>(measured_.load()));
      measured_.fetch_add(1, std::memory_order_relaxed);
    }
  }

  std::atomic<int64_t> measured_{0};
  std::mutex pause_lock_;
  std::condition_variable never_;
  std::thread thread_;  // last: it uses the members above
};

}  // namespace known

int main(int argc, char** argv) {
  auto* const servant = new known::Poller;  // for ever: its thread has no end
  return known::serve(argc, argv, *servant);
}
