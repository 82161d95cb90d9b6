// SPDX-License-Identifier: Apache-2.0
//
// random_unlocked: a generator of the server's own, seeded alike everywhere, from which requests
// draw without a lock: who gets which number depends on who comes first.
#include <atomic>
#include <random>

#include "known_server.h"

namespace known {

class RandomUnlocked : public Servant {
 public:
  RandomUnlocked() : Servant(Mix{1, 0, 0}), generator_(std::random_device()()) {}

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    uint64_t before = generator_.load(std::memory_order_relaxed);
    while (!generator_.compare_exchange_weak(before, next(before), std::memory_order_relaxed)) {
    }
    return static_cast<int64_t>(before >> 1);
  }
  Dump* state() override { return dump_of({static_cast<int64_t>(generator_.load())}); }

 private:
  static uint64_t next(uint64_t number) { return number * 6364136223846793005ull + 1; }

  std::atomic<uint64_t> generator_;
};

}  // namespace known

int main(int argc, char** argv) {
  known::RandomUnlocked servant;
  return known::serve(argc, argv, servant);
}
