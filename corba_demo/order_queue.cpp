// SPDX-License-Identifier: Apache-2.0
#include "order_queue.h"

#include "account.h"

namespace bank {

OrderQueue::OrderQueue(unsigned worker_count) {
  for (unsigned i = 0; i < worker_count; ++i) workers_.emplace_back([this] { work(); });
}

OrderQueue::~OrderQueue() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  not_empty_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void OrderQueue::post(AccountServant& account, int64_t amount) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({&account, amount});
    ++posted_count_;
  }
  not_empty_.notify_one();
}

void OrderQueue::drain() {
  std::unique_lock lock(mutex_);
  all_applied_.wait(lock, [this] { return applied_count_ == posted_count_; });
}

OrderQueue::Counts OrderQueue::counts() {
  const std::lock_guard lock(mutex_);
  return {posted_count_, applied_count_};
}

void OrderQueue::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    not_empty_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const Order order = waiting_.front();
    waiting_.pop_front();
    lock.unlock();
    order.account->apply_order(order.amount);
    lock.lock();
    ++applied_count_;
    if (applied_count_ == posted_count_) all_applied_.notify_all();
  }
}

}  // namespace bank
