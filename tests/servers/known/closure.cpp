// SPDX-License-Identifier: Apache-2.0
//
// closure: put acquires a contention point while it has a drawer of known_library open, whose lock
// is not ordered; take needs the same drawer before it comes to the contention point.
//
// A follower in which another put or take opens the drawer before the one whose turn the contention
// point is stalls: the one holds the drawer and waits for its turn, the other waits for the drawer.
#include <mutex>

#include "known_library.h"
#include "known_server.h"

namespace known {

class Closure : public Servant {
 public:
  Closure() : Servant(Mix{2, 2, 0}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    OpenDrawer open(drawer_);
    linger(token);
    std::lock_guard<std::mutex> hold(ledger_lock_);
    return ledger_.append(token);
  }
  CORBA::LongLong take(CORBA::Long token) override {
    linger(token);
    { OpenDrawer open(drawer_); }
    std::lock_guard<std::mutex> hold(ledger_lock_);
    return ledger_.append(-int64_t{token});
  }
  Dump* state() override {
    std::lock_guard<std::mutex> hold(ledger_lock_);
    return dump_of(ledger_.values());
  }

 private:
  Drawer drawer_;
  std::mutex ledger_lock_;
  History ledger_;
};

}  // namespace known

int main(int argc, char** argv) {
  known::Closure servant;
  return known::serve(argc, argv, servant);
}
