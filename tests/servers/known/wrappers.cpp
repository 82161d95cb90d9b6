// SPDX-License-Identifier: Apache-2.0
//
// wrappers: the C++ library's other locks beside one another, each with a state of its own:
// std::scoped_lock over two mutexes, std::timed_mutex, std::recursive_mutex, std::shared_mutex, a
// std::shared_timed_mutex that is only tried, and std::condition_variable_any on a
// std::shared_mutex. Functions that lock are kept apart, so that the manifest can name them.
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "known_server.h"

namespace known {

class Wrappers : public Servant {
 public:
  Wrappers() : Servant(Mix{4, 3, 3}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    take_seat();
    linger(token / 3);
    const int64_t digest = move(token);
    leave_seat();
    enter(token, digest & 0xffff);
    return digest;
  }
  CORBA::LongLong take(CORBA::Long token) override {
    linger(token);
    note(token, 2);
    const int64_t digest = stamp(token);
    return try_alone(token) ? digest : -1;
  }
  CORBA::LongLong look(CORBA::Long token) override {
    linger(token);
    return find(token) ^ right_digest();
  }
  Dump* state() override {
    std::scoped_lock hold(left_lock_, noted_lock_);
    std::vector<int64_t> values = left_.values();
    values.insert(values.end(), noted_.values().begin(), noted_.values().end());
    return dump_of(values);
  }

 private:
  static constexpr CORBA::Long kRows = 13;

  // Two at a time.
  [[gnu::noinline]] void take_seat() {
    std::unique_lock<std::shared_mutex> hold(seats_lock_);
    seat_free_.wait(hold, [this] { return seats_ > 0; });
    --seats_;
  }
  [[gnu::noinline]] void leave_seat() {
    std::lock_guard<std::shared_mutex> hold(seats_lock_);
    ++seats_;
    seat_free_.notify_one();
  }
  [[gnu::noinline]] int64_t move(CORBA::Long token) {
    std::scoped_lock hold(left_lock_, right_lock_);
    return right_.append(left_.append(token));
  }
  [[gnu::noinline]] int64_t right_digest() {
    std::lock_guard<std::mutex> hold(right_lock_);
    return right_.digest();
  }
  [[gnu::noinline]] void enter(CORBA::Long token, int64_t value) {
    std::unique_lock<std::shared_mutex> hold(table_lock_);
    table_[token % kRows] += value;
  }
  [[gnu::noinline]] int64_t find(CORBA::Long token) {
    std::shared_lock<std::shared_mutex> hold(table_lock_);
    const auto row = table_.find(token % kRows);
    return row == table_.end() ? 0 : row->second;
  }
  [[gnu::noinline]] void note(CORBA::Long token, int depth) {
    std::lock_guard<std::recursive_mutex> hold(noted_lock_);
    if (depth > 0) return note(token, depth - 1);
    noted_.append(token);
  }
  [[gnu::noinline]] int64_t stamp(CORBA::Long token) {
    std::unique_lock<std::timed_mutex> hold(stamped_lock_, std::chrono::seconds(20));
    return stamped_.append(token);
  }
  [[gnu::noinline]] bool try_alone(CORBA::Long token) {
    std::unique_lock<std::shared_timed_mutex> hold(tried_lock_, std::try_to_lock);
    if (hold) linger(token / 5);
    return hold.owns_lock();
  }

  std::mutex left_lock_, right_lock_;
  History left_, right_;
  std::timed_mutex stamped_lock_;
  History stamped_;
  std::recursive_mutex noted_lock_;
  History noted_;
  std::shared_mutex table_lock_;
  std::map<CORBA::Long, int64_t> table_;
  std::shared_timed_mutex tried_lock_;
  std::shared_mutex seats_lock_;
  std::condition_variable_any seat_free_;
  int seats_ = 2;
};

}  // namespace known

int main(int argc, char** argv) {
  known::Wrappers servant;
  return known::serve(argc, argv, servant);
}
