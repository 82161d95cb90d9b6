// SPDX-License-Identifier: Apache-2.0
//
// read_write: state under a read-write lock. Readers change nothing, so their order among
// themselves does not show.
#include <mutex>
#include <shared_mutex>

#include "known_server.h"

namespace known {

class ReadWrite : public Servant {
 public:
  ReadWrite() : Servant(Mix{1, 0, 3}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    std::lock_guard<std::shared_mutex> hold(ledger_lock_);
    return ledger_.append(token);
  }
  CORBA::LongLong look(CORBA::Long token) override {
    linger(token);
    std::shared_lock<std::shared_mutex> hold(ledger_lock_);
    linger(token);
    return ledger_.digest();
  }
  Dump* state() override {
    std::shared_lock<std::shared_mutex> hold(ledger_lock_);
    return dump_of(ledger_.values());
  }

 private:
  std::shared_mutex ledger_lock_;
  History ledger_;
};

}  // namespace known

int main(int argc, char** argv) {
  known::ReadWrite servant;
  return known::serve(argc, argv, servant);
}
