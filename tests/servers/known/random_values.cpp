// SPDX-License-Identifier: Apache-2.0
//
// random_values: random numbers from three sources in replies and in the state.
#include <cstdlib>
#include <mutex>
#include <random>

#include "known_server.h"

namespace known {

class RandomValues : public Servant {
 public:
  RandomValues() : Servant(Mix{1, 1, 1}) {}

  CORBA::LongLong put(CORBA::Long token) override { return keep(token, random()); }
  CORBA::LongLong take(CORBA::Long token) override { return keep(token, std::rand()); }
  CORBA::LongLong look(CORBA::Long token) override {
    std::random_device device;
    return keep(token, device());
  }
  Dump* state() override {
    std::lock_guard<std::mutex> hold(drawn_lock_);
    return dump_of(drawn_.values());
  }

 private:
  [[gnu::noinline]] int64_t keep(CORBA::Long token, int64_t number) {
    linger(token);
    std::lock_guard<std::mutex> hold(drawn_lock_);
    drawn_.append(number);
    return number;
  }

  std::mutex drawn_lock_;
  History drawn_;
};

}  // namespace known

int main(int argc, char** argv) {
  known::RandomValues servant;
  return known::serve(argc, argv, servant);
}
