// SPDX-License-Identifier: Apache-2.0
//
// semaphore_two: a semaphore of two lets two requests at a time to one counter. In which order they
// were let in is ordered, what they do inside is not.
#include <semaphore.h>

#include <atomic>

#include "known_server.h"

namespace known {

class SemaphoreTwo : public Servant {
 public:
  SemaphoreTwo() : Servant(Mix{1, 0, 0}) { sem_init(&places_, 0, 2); }

  CORBA::LongLong put(CORBA::Long token) override {
    while (sem_wait(&places_) != 0) {
    }
    linger(token);
    const int64_t seen = counter_.load(std::memory_order_relaxed);
    linger(token);
    counter_.store(seen + 1, std::memory_order_relaxed);
    sem_post(&places_);
    return seen;
  }
  Dump* state() override { return dump_of({counter_.load()}); }

 private:
  sem_t places_;
  std::atomic<int64_t> counter_{0};
};

}  // namespace known

int main(int argc, char** argv) {
  known::SemaphoreTwo servant;
  return known::serve(argc, argv, servant);
}
