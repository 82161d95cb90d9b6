// SPDX-License-Identifier: Apache-2.0
//
// omni_threads: as condition_variable, but with threads, a mutex, a condition and a semaphore of
// libomnithread, which the ORB makes its own with too.
#include <omnithread.h>

#include <deque>

#include "known_server.h"

namespace known {

class OmniThreads : public Servant {
 public:
  OmniThreads() : Servant(Mix{3, 2, 2}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    omni_mutex_lock hold(jobs_lock_);
    jobs_.push_back(token);
    const int64_t own = done_ + static_cast<int64_t>(jobs_.size());
    changed_.broadcast();
    while (done_ < own) changed_.wait();
    return ledger_.digest();
  }
  CORBA::LongLong take(CORBA::Long token) override {
    linger(token);
    taken_free_.wait();
    const int64_t digest = taken_.append(token);
    taken_free_.post();
    return digest;
  }
  CORBA::LongLong look(CORBA::Long token) override {
    linger(token);
    omni_mutex_lock hold(jobs_lock_);
    return ledger_.digest();
  }
  Dump* state() override {
    omni_mutex_lock hold(jobs_lock_);
    return dump_of(ledger_.values());
  }

  [[noreturn]] void work() {
    for (;;) {
      omni_mutex_lock hold(jobs_lock_);
      while (jobs_.empty()) changed_.wait();
      ledger_.append(jobs_.front());
      jobs_.pop_front();
      ++done_;
      changed_.broadcast();
    }
  }

 private:
  omni_mutex jobs_lock_;
  omni_condition changed_{&jobs_lock_};
  std::deque<CORBA::Long> jobs_;
  int64_t done_ = 0;
  History ledger_;
  omni_semaphore taken_free_{1};
  History taken_;
};

class Worker : public omni_thread {
 public:
  explicit Worker(OmniThreads& servant) : servant_(servant) { start_undetached(); }

 private:
  void* run_undetached(void*) override { servant_.work(); }

  OmniThreads& servant_;
};

}  // namespace known

int main(int argc, char** argv) {
  known::OmniThreads servant;
  for (int i = 0; i < 2; ++i) new known::Worker(servant);  // until the process ends
  return known::serve(argc, argv, servant);
}
