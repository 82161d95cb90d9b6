// SPDX-License-Identifier: Apache-2.0
//
// needless_point: four mutexes of the application, all of them selected, of which one matters.
//
//   ledger_lock_         guards what replies show: needed
//   page_lock_           taken under ledger_lock_ only, whose order says everything
//   statistics_lock_     guards a counter that nobody can read
//   configuration_lock_  taken by the main thread only, before there are requests
#include <mutex>

#include "known_server.h"

namespace known {

class NeedlessPoint : public Servant {
 public:
  NeedlessPoint() : Servant(Mix{3, 0, 1}) { configure(); }

  CORBA::LongLong put(CORBA::Long token) override {
    count();
    linger(token);
    std::lock_guard<std::mutex> hold(ledger_lock_);
    return append(token);
  }
  CORBA::LongLong look(CORBA::Long token) override {
    count();
    linger(token);
    std::lock_guard<std::mutex> hold(ledger_lock_);
    return ledger_.digest();
  }
  Dump* state() override {
    std::lock_guard<std::mutex> hold(ledger_lock_);
    return dump_of(ledger_.values());
  }

 private:
  [[gnu::noinline]] int64_t append(int64_t value) {
    std::lock_guard<std::mutex> hold(page_lock_);
    return ledger_.append(value + first_);
  }
  [[gnu::noinline]] void count() {
    std::lock_guard<std::mutex> hold(statistics_lock_);
    ++calls_;
  }
  [[gnu::noinline]] void configure() {
    std::lock_guard<std::mutex> hold(configuration_lock_);
    first_ = 1;
  }

  std::mutex ledger_lock_, page_lock_;
  History ledger_;
  std::mutex statistics_lock_;
  int64_t calls_ = 0;
  std::mutex configuration_lock_;
  int64_t first_ = 0;
};

}  // namespace known

int main(int argc, char** argv) {
  known::NeedlessPoint servant;
  return known::serve(argc, argv, servant);
}
