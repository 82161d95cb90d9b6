// SPDX-License-Identifier: Apache-2.0
//
// data_race: a counter that no lock guards, read and written in two steps, whose value is in
// replies.
#include <atomic>

#include "known_server.h"

namespace known {

class DataRace : public Servant {
 public:
  DataRace() : Servant(Mix{1, 0, 0}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    const int64_t seen = counter_.load(std::memory_order_relaxed);
    linger(token);
    counter_.store(seen + 1, std::memory_order_relaxed);
    return seen;
  }
  Dump* state() override { return dump_of({counter_.load()}); }

 private:
  std::atomic<int64_t> counter_{0};
};

}  // namespace known

int main(int argc, char** argv) {
  known::DataRace servant;
  return known::serve(argc, argv, servant);
}
