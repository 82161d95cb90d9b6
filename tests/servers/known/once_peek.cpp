// SPDX-License-Identifier: Apache-2.0
//
// once_peek: as once, but look tells the latest winner without passing the once control.
#include <atomic>
#include <memory>
#include <mutex>

#include "known_server.h"

namespace known {

class OncePeek : public Servant {
 public:
  OncePeek() : Servant(Mix{1, 0, 1}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    const std::shared_ptr<Race> race = next_race();
    linger(token);
    std::call_once(race->once, [&] {
      race->winner = token;
      latest_winner_.store(token, std::memory_order_release);
    });
    return race->winner;
  }
  CORBA::LongLong look(CORBA::Long token) override {
    linger(token);
    return latest_winner_.load(std::memory_order_acquire);
  }
  Dump* state() override {
    std::lock_guard<std::mutex> hold(race_lock_);
    return dump_of({arrivals_});
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
  int64_t arrivals_ = 0;
  std::shared_ptr<Race> race_;
  std::atomic<int64_t> latest_winner_{0};
};

}  // namespace known

int main(int argc, char** argv) {
  known::OncePeek servant;
  return known::serve(argc, argv, servant);
}
