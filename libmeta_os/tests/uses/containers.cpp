// SPDX-License-Identifier: Apache-2.0
//
// Lock-free containers of two libraries, by name only; and functions of a third and of io_uring,
// which nobody defines (they are bound when they are called, so never).
namespace boost::lockfree {
template <class Value>
struct queue {
  [[gnu::noinline]] bool push(Value value) { return (last = value) != Value(); }
  Value last{};
};
}  // namespace boost::lockfree

namespace moodycamel {
template <class Value>
struct ConcurrentQueue {
  [[gnu::noinline]] bool enqueue(Value value) { return (last = value) != Value(); }
  Value last{};
};
}  // namespace moodycamel

extern "C" void rcu_read_lock();
extern "C" int io_uring_queue_init(unsigned entries, void* ring, unsigned flags);

extern "C" bool use_all(int value) {
  static boost::lockfree::queue<int> first;
  static moodycamel::ConcurrentQueue<int> second;
  rcu_read_lock();
  return first.push(value) && second.enqueue(value) && io_uring_queue_init(1, &first, 0) == 0;
}
