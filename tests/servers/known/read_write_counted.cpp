// SPDX-License-Identifier: Apache-2.0
//
// read_write_counted: as read_write, but readers count themselves while they share the lock, and
// tell the count.
#include <atomic>
#include <mutex>
#include <shared_mutex>

#include "known_server.h"

namespace known {

class ReadWriteCounted : public Servant {
 public:
  ReadWriteCounted() : Servant(Mix{1, 0, 3}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    std::lock_guard<std::shared_mutex> hold(ledger_lock_);
    return ledger_.append(token);
  }
  CORBA::LongLong look(CORBA::Long token) override {
    std::shared_lock<std::shared_mutex> hold(ledger_lock_);
    linger(token);
    return looks_.fetch_add(1, std::memory_order_relaxed);
  }
  Dump* state() override {
    std::shared_lock<std::shared_mutex> hold(ledger_lock_);
    return dump_of(ledger_.values());
  }

 private:
  std::shared_mutex ledger_lock_;
  History ledger_;
  std::atomic<int64_t> looks_{0};
};

}  // namespace known

int main(int argc, char** argv) {
  known::ReadWriteCounted servant;
  return known::serve(argc, argv, servant);
}
