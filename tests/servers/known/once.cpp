// SPDX-License-Identifier: Apache-2.0
//
// once: groups of three requests each race through one once control; all three are told who won.
#include <memory>
#include <mutex>

#include "known_server.h"

namespace known {

class Once : public Servant {
 public:
  Once() : Servant(Mix{1, 0, 0}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    const std::shared_ptr<Race> race = next_race();
    linger(token);
    std::call_once(race->once, [&] { race->winner = token; });
    const int64_t winner = race->winner;
    std::lock_guard<std::mutex> hold(race_lock_);
    ledger_.append(winner);
    return winner;
  }
  Dump* state() override {
    std::lock_guard<std::mutex> hold(race_lock_);
    return dump_of(ledger_.values());
  }

 private:
  struct Race {
    std::once_flag once;
    int64_t winner = 0;
  };

  [[gnu::noinline]] std::shared_ptr<Race> next_race() {
    std::lock_guard<std::mutex> hold(race_lock_);
    if (arrivals_++ % 3 == 0) race_ = std::make_shared<Race>();
    return race_;
  }

  std::mutex race_lock_;
  uint64_t arrivals_ = 0;
  std::shared_ptr<Race> race_;
  History ledger_;
};

}  // namespace known

int main(int argc, char** argv) {
  known::Once servant;
  return known::serve(argc, argv, servant);
}
