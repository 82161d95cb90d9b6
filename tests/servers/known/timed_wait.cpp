// SPDX-License-Identifier: Apache-2.0
//
// timed_wait: take waits a moment for what put leaves, and tells whether it came in time.
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "known_server.h"

namespace known {

class TimedWait : public Servant {
 public:
  TimedWait() : Servant(Mix{1, 1, 0}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    std::lock_guard<std::mutex> hold(items_lock_);
    ++items_;
    came_.notify_one();
    return ledger_.append(token);
  }
  CORBA::LongLong take(CORBA::Long token) override {
    std::unique_lock<std::mutex> hold(items_lock_);
    const bool in_time =
        came_.wait_for(hold, std::chrono::microseconds(300), [this] { return items_ > 0; });
    if (in_time) --items_;
    const int64_t digest = ledger_.append(-int64_t{token});
    return in_time ? digest : -digest;
  }
  Dump* state() override {
    std::lock_guard<std::mutex> hold(items_lock_);
    return dump_of(ledger_.values());
  }

 private:
  std::mutex items_lock_;
  std::condition_variable came_;
  int64_t items_ = 0;
  History ledger_;
};

}  // namespace known

int main(int argc, char** argv) {
  known::TimedWait servant;
  return known::serve(argc, argv, servant);
}
