// SPDX-License-Identifier: Apache-2.0
//
// time_values: the wall clock and the monotonic clock in replies and in the state.
#include <chrono>
#include <mutex>

#include "known_server.h"

namespace known {

class TimeValues : public Servant {
 public:
  TimeValues() : Servant(Mix{1, 0, 1}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    const int64_t now = std::chrono::system_clock::now().time_since_epoch().count();
    std::lock_guard<std::mutex> hold(times_lock_);
    times_.append(now);
    return now;
  }
  CORBA::LongLong look(CORBA::Long token) override {
    linger(token);
    return std::chrono::steady_clock::now().time_since_epoch().count();
  }
  Dump* state() override {
    std::lock_guard<std::mutex> hold(times_lock_);
    return dump_of(times_.values());
  }

 private:
  std::mutex times_lock_;
  History times_;
};

}  // namespace known

int main(int argc, char** argv) {
  known::TimeValues servant;
  return known::serve(argc, argv, servant);
}
