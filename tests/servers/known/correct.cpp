// SPDX-License-Identifier: Apache-2.0
//
// correct: all state is under one mutex, and each reply shows the order so far.
#include <mutex>

#include "known_server.h"

namespace known {

class Correct : public Servant {
 public:
  Correct() : Servant(Mix{3, 0, 1}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    std::lock_guard<std::mutex> hold(ledger_lock_);
    return ledger_.append(token);
  }
  CORBA::LongLong look(CORBA::Long token) override {
    linger(token);
    std::lock_guard<std::mutex> hold(ledger_lock_);
    return ledger_.digest();
  }
  Dump* state() override {
    std::lock_guard<std::mutex> hold(ledger_lock_);
    return dump_of(ledger_.values());
  }

 private:
  std::mutex ledger_lock_;
  History ledger_;
};

}  // namespace known

int main(int argc, char** argv) {
  known::Correct servant;
  return known::serve(argc, argv, servant);
}
