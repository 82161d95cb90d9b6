// SPDX-License-Identifier: Apache-2.0
//
// Payments that wait for one of the bank's worker threads.
//
// Thread safety: all member functions but the destructor may be called from any thread. post()
// never blocks for long; drain() blocks until nothing is waiting or being applied.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace bank {

class AccountServant;

class OrderQueue {
 public:
  explicit OrderQueue(unsigned worker_count);
  // Applies what is still waiting, then ends the workers.
  ~OrderQueue();
  OrderQueue(const OrderQueue&) = delete;
  OrderQueue& operator=(const OrderQueue&) = delete;

  // `account` must outlive the queue.
  void post(AccountServant& account, int64_t amount);
  void drain();

  struct Counts {
    uint64_t posted;
    uint64_t applied;
  };
  Counts counts();

 private:
  struct Order {
    AccountServant* account;
    int64_t amount;
  };
  void work();

  std::mutex mutex_;
  std::condition_variable not_empty_;
  std::condition_variable all_applied_;
  std::deque<Order> waiting_;
  uint64_t posted_count_ = 0;
  uint64_t applied_count_ = 0;
  bool closing_ = false;
  std::vector<std::thread> workers_;  // last: they use everything above
};

}  // namespace bank
