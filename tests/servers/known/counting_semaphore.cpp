// SPDX-License-Identifier: Apache-2.0
//
// counting_semaphore: a std::counting_semaphore of one guards the state. It is an atomic and a
// futex, so who gets it is not ordered, although to the server it is as good as a lock.
#include <semaphore>

#include "known_server.h"

namespace known {

class CountingSemaphore : public Servant {
 public:
  CountingSemaphore() : Servant(Mix{3, 0, 1}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    ledger_free_.acquire();
    const int64_t digest = ledger_.append(token);
    ledger_free_.release();
    return digest;
  }
  CORBA::LongLong look(CORBA::Long token) override {
    linger(token);
    ledger_free_.acquire();
    const int64_t digest = ledger_.digest();
    ledger_free_.release();
    return digest;
  }
  Dump* state() override {
    ledger_free_.acquire();
    Dump* const dump = dump_of(ledger_.values());
    ledger_free_.release();
    return dump;
  }

 private:
  std::counting_semaphore<4> ledger_free_{1};
  History ledger_;
};

}  // namespace known

int main(int argc, char** argv) {
  known::CountingSemaphore servant;
  return known::serve(argc, argv, servant);
}
