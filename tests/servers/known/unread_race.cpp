// SPDX-License-Identifier: Apache-2.0
//
// unread_race: the counter of data_race beside a history under a mutex. Its updates get lost, and
// nobody can see it: neither a reply nor the state has it.
#include <atomic>
#include <mutex>

#include "known_server.h"

namespace known {

class UnreadRace : public Servant {
 public:
  UnreadRace() : Servant(Mix{1, 0, 0}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    const int64_t seen = counter_.load(std::memory_order_relaxed);
    linger(token);
    counter_.store(seen + 1, std::memory_order_relaxed);
    std::lock_guard<std::mutex> hold(ledger_lock_);
    return ledger_.append(token);
  }
  Dump* state() override {
    std::lock_guard<std::mutex> hold(ledger_lock_);
    return dump_of(ledger_.values());
  }

 private:
  std::atomic<int64_t> counter_{0};
  std::mutex ledger_lock_;
  History ledger_;
};

}  // namespace known

int main(int argc, char** argv) {
  known::UnreadRace servant;
  return known::serve(argc, argv, servant);
}
