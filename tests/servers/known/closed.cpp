// SPDX-License-Identifier: Apache-2.0
//
// closed: looks like closure, and is not. put acquires the contention point while it has a drawer
// open, but one of its own, made for the call. (Successive calls make theirs at one address.) take
// opens the drawer that all share, and has closed it before it comes to the contention point.
#include <mutex>

#include "known_library.h"
#include "known_server.h"

namespace known {

class Closed : public Servant {
 public:
  Closed() : Servant(Mix{2, 2, 0}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    Drawer own;
    OpenDrawer open(own);
    std::lock_guard<std::mutex> hold(ledger_lock_);
    return ledger_.append(token);
  }
  CORBA::LongLong take(CORBA::Long token) override {
    {
      OpenDrawer open(drawer_);
      linger(token);
    }
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
  known::Closed servant;
  return known::serve(argc, argv, servant);
}
