// SPDX-License-Identifier: Apache-2.0
//
// semaphore: state behind a semaphore of one. take does not wait for it, and tells whether it was
// free.
#include <semaphore.h>

#include "known_server.h"

namespace known {

class Semaphore : public Servant {
 public:
  Semaphore() : Servant(Mix{2, 1, 0}) { sem_init(&ledger_free_, 0, 1); }

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    acquire();
    linger(token);
    const int64_t digest = ledger_.append(token);
    sem_post(&ledger_free_);
    return digest;
  }
  CORBA::LongLong take(CORBA::Long token) override {
    linger(token);
    if (sem_trywait(&ledger_free_) != 0) return -1;
    const int64_t digest = ledger_.append(-int64_t{token});
    sem_post(&ledger_free_);
    return digest;
  }
  Dump* state() override {
    acquire();
    Dump* const dump = dump_of(ledger_.values());
    sem_post(&ledger_free_);
    return dump;
  }

 private:
  [[gnu::noinline]] void acquire() {
    while (sem_wait(&ledger_free_) != 0) {
    }
  }

  sem_t ledger_free_;
  History ledger_;
};

}  // namespace known

int main(int argc, char** argv) {
  known::Semaphore servant;
  return known::serve(argc, argv, servant);
}
