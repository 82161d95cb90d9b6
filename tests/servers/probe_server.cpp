// SPDX-License-Identifier: Apache-2.0
//
// The server behind probe.idl: an ordinary omniORB program, one object under the key "probe".
//
//   probe_server [-ORBendPoint giop:tcp:127.0.0.1:PORT]
//
// Thread safety: every operation may be called concurrently; a lock guards what stands beside it.
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <future>
#include <iostream>
#include <memory>
#include <mutex>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "probe.hh"

namespace {

// A number that differs between processes and that no preload can agree on: made by the kernel
// behind a direct system call.
long replica_dependent() { return syscall(SYS_getpid); }

class CellServant : public POA_probing::Cell {
 public:
  explicit CellServant(PortableServer::POA_ptr poa)
      : poa_(PortableServer::POA::_duplicate(poa)) {}
  CORBA::Long put(CORBA::Long value) override {
    std::lock_guard<std::mutex> hold(lock_);
    value_ += value;
    return value_;
  }
  CORBA::Long value() override {
    std::lock_guard<std::mutex> hold(lock_);
    return value_;
  }
  void destroy() override {
    PortableServer::ObjectId_var id = poa_->servant_to_id(this);
    poa_->deactivate_object(id);
  }

 private:
  PortableServer::POA_var poa_;
  std::mutex lock_;
  CORBA::Long value_ = 0;
};

class ProbeServant : public POA_probing::Probe {
 public:
  explicit ProbeServant(PortableServer::POA_ptr poa)
      : poa_(PortableServer::POA::_duplicate(poa)),
        worker_([this] { work(); }),
        ticker_([this] { tick(); }) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&recursive_, &attributes);
    pthread_mutexattr_destroy(&attributes);
    pthread_spin_init(&spin_, PTHREAD_PROCESS_PRIVATE);
    sem_init(&semaphore_, 0, 1);
    pthread_barrier_init(&barrier_, nullptr, 2);
  }

  void null_call() override {}

  CORBA::Long add(CORBA::Long amount) override {
    std::lock_guard<std::mutex> hold(counter_lock_);
    ++additions_;
    return counter_ += amount;
  }
  CORBA::Long add_alone(CORBA::Long amount) override {
    const CORBA::Long sum = counter_ + amount;
    std::this_thread::yield();
    ++additions_;
    return counter_ = sum;
  }
  CORBA::Long counter() override {
    std::lock_guard<std::mutex> hold(counter_lock_);
    return counter_;
  }
  void note(CORBA::Long amount) override {
    std::lock_guard<std::mutex> hold(notes_lock_);
    notes_ += amount;
  }
  CORBA::Long notes() override {
    std::lock_guard<std::mutex> hold(notes_lock_);
    return notes_;
  }

  char* state() override {
    std::ostringstream text;
    {
      std::lock_guard<std::mutex> hold(counter_lock_);
      text << "counter " << counter_ << " additions " << additions_;
    }
    {
      std::lock_guard<std::mutex> hold(notes_lock_);
      text << " notes " << notes_;
    }
    {
      std::lock_guard<std::mutex> hold(history_lock_);
      uint64_t digest = 14695981039346656037ULL;
      for (CORBA::ULong token : history_) digest = (digest ^ token) * 1099511628211ULL;
      text << " history " << history_.size() << ":" << digest;
    }
    {
      std::lock_guard<std::mutex> hold(queue_lock_);
      text << " queue " << queue_.size() << " naps " << naps_;
    }
    {
      std::lock_guard<std::mutex> hold(work_lock_);
      text << " background " << background_sum_;
    }
    {
      std::lock_guard<std::mutex> hold(cells_lock_);
      text << " cells " << activations_;
    }
    return CORBA::string_dup(text.str().c_str());
  }

  void refuse(CORBA::Long code) override { throw probing::Refused("as asked", code); }

  probing::Bytes* echo(const probing::Bytes& data) override { return new probing::Bytes(data); }
  probing::Bytes* fill(CORBA::ULong size, CORBA::Octet seed) override {
    auto* bytes = new probing::Bytes;
    bytes->length(size);
    for (CORBA::ULong i = 0; i < size; ++i) (*bytes)[i] = static_cast<CORBA::Octet>(seed + i * 31);
    return bytes;
  }

  // --- order ---

  CORBA::ULong by_mutex(CORBA::ULong token) override {
    std::lock_guard<std::mutex> hold(history_lock_);
    return record(token);
  }
  CORBA::ULong by_recursive_mutex(CORBA::ULong token) override {
    pthread_mutex_lock(&recursive_);
    pthread_mutex_lock(&recursive_);
    const CORBA::ULong place = ++recursive_count_;
    pthread_mutex_unlock(&recursive_);
    std::lock_guard<std::mutex> hold(history_lock_);
    record(token);
    pthread_mutex_unlock(&recursive_);
    return place;
  }
  CORBA::ULong by_try_lock(CORBA::ULong token) override {
    while (!history_lock_.try_lock()) std::this_thread::yield();
    std::lock_guard<std::mutex> hold(history_lock_, std::adopt_lock);
    return record(token);
  }
  CORBA::ULong by_read_write_lock(CORBA::ULong token) override {
    pthread_rwlock_rdlock(&read_write_);
    const CORBA::ULong seen = read_write_count_;
    pthread_rwlock_unlock(&read_write_);
    pthread_rwlock_wrlock(&read_write_);
    const CORBA::ULong place = ++read_write_count_;
    {
      std::lock_guard<std::mutex> hold(history_lock_);
      record(token);
    }
    pthread_rwlock_unlock(&read_write_);
    return (place << 8) | (seen & 0xff);
  }
  CORBA::ULong by_semaphore(CORBA::ULong token) override {
    while (sem_wait(&semaphore_) != 0) {
    }
    const CORBA::ULong place = ++semaphore_count_;
    {
      std::lock_guard<std::mutex> hold(history_lock_);
      record(token);
    }
    sem_post(&semaphore_);
    return place;
  }
  CORBA::ULong by_omni_semaphore(CORBA::ULong token) override {
    omni_semaphore_.wait();
    const CORBA::ULong place = ++omni_semaphore_count_;
    {
      std::lock_guard<std::mutex> hold(history_lock_);
      record(token);
    }
    omni_semaphore_.post();
    return place;
  }
  CORBA::ULong by_spin_lock(CORBA::ULong token) override {
    pthread_spin_lock(&spin_);
    const CORBA::ULong place = ++spin_count_;
    pthread_spin_unlock(&spin_);
    std::lock_guard<std::mutex> hold(history_lock_);
    record(token);
    return place;
  }
  // Each process takes another place for its next lock, as a heap may.
  CORBA::ULong by_new_spin_lock(CORBA::ULong token) override {
    const CORBA::ULong place = ++new_spin_count_;
    const auto chosen = (static_cast<CORBA::ULong>(replica_dependent()) + place) * 2654435761u;
    pthread_spinlock_t* const lock = &new_spins_[chosen >> 26];
    pthread_spin_init(lock, PTHREAD_PROCESS_PRIVATE);
    pthread_spin_lock(lock);
    pthread_spin_unlock(lock);
    if (place % 2 == 0) pthread_spin_destroy(lock);
    std::lock_guard<std::mutex> hold(history_lock_);
    record(token);
    return place;
  }
  CORBA::ULong by_timed_lock(CORBA::ULong token) override {
    while (!timed_lock_.try_lock_for(std::chrono::milliseconds(2))) ++timeouts_;
    std::lock_guard<std::timed_mutex> hold_timed(timed_lock_, std::adopt_lock);
    std::lock_guard<std::mutex> hold(history_lock_);
    return record(token);
  }
  probing::Words* history() override {
    std::lock_guard<std::mutex> hold(history_lock_);
    auto* words = new probing::Words;
    words->length(static_cast<CORBA::ULong>(history_.size()));
    for (CORBA::ULong i = 0; i < words->length(); ++i) (*words)[i] = history_[i];
    return words;
  }
  CORBA::Long once_winner(CORBA::Long token) override {
    std::call_once(once_, [&] { once_token_ = token; });
    return once_token_;
  }
  CORBA::Long pair_once(CORBA::Long token) override {
    std::shared_ptr<Pair> pair;
    {
      std::lock_guard<std::mutex> hold(pair_lock_);
      if (!pair_) pair_ = std::make_shared<Pair>();
      pair = pair_;
      if (++pair->callers == 2) pair_.reset();
    }
    std::call_once(pair->once, [&] { pair->token = token; });
    return pair->token;
  }
  CORBA::Long barrier_meeting(CORBA::Long token) override {
    {
      std::lock_guard<std::mutex> hold(meeting_lock_);
      meeting_sum_ += token;
    }
    pthread_barrier_wait(&barrier_);
    CORBA::Long sum;
    {
      std::lock_guard<std::mutex> hold(meeting_lock_);
      sum = meeting_sum_;
    }
    if (pthread_barrier_wait(&barrier_) == PTHREAD_BARRIER_SERIAL_THREAD) {
      std::lock_guard<std::mutex> hold(meeting_lock_);
      meeting_sum_ -= sum;
    }
    return sum;
  }

  // --- waiting ---

  void queue_put(CORBA::Long value) override {
    {
      std::lock_guard<std::mutex> hold(queue_lock_);
      queue_.push_back(value);
    }
    queue_changed_.notify_one();
  }
  CORBA::Long queue_take(CORBA::ULong wait_ms) override {
    std::unique_lock<std::mutex> hold(queue_lock_);
    if (!queue_changed_.wait_for(hold, std::chrono::milliseconds(wait_ms),
                                 [this] { return !queue_.empty(); })) {
      return -1;
    }
    const CORBA::Long value = queue_.front();
    queue_.pop_front();
    return value;
  }
  CORBA::Long nap(CORBA::ULong sleep_ms) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(sleep_ms));
    std::lock_guard<std::mutex> hold(queue_lock_);
    return ++naps_;
  }

  // --- threads ---

  void background_post(CORBA::Long value) override {
    std::lock_guard<std::mutex> hold(work_lock_);
    work_.push_back(value);
    work_changed_.notify_one();
  }
  CORBA::Long background_sum() override {
    std::lock_guard<std::mutex> hold(work_lock_);
    return background_sum_;
  }
  CORBA::Long fan_out(CORBA::Long threads) override {
    std::vector<std::thread> started;
    std::mutex lock;
    CORBA::Long order = 0;
    for (CORBA::Long i = 1; i <= threads; ++i) {
      started.emplace_back([&, i] {
        std::lock_guard<std::mutex> hold(lock);
        order = order * 3 + i;
      });
    }
    for (std::thread& thread : started) thread.join();
    std::lock_guard<std::mutex> hold(history_lock_);
    record(static_cast<CORBA::ULong>(order));
    return order;
  }
  CORBA::Long async_add(CORBA::Long tasks) override {
    std::vector<std::future<CORBA::Long>> sums;
    for (CORBA::Long i = 0; i < tasks; ++i)
      sums.push_back(std::async(std::launch::async, [this] { return add(1); }));
    CORBA::Long last = 0;
    for (auto& sum : sums) last = std::max(last, sum.get());
    return last;
  }
  CORBA::Long ticks() override {
    std::lock_guard<std::mutex> hold(tick_lock_);
    return ticks_;
  }

  // --- values ---

  CORBA::LongLong wall_time_us() override {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  CORBA::LongLong steady_time_ns() override {
    return std::chrono::steady_clock::now().time_since_epoch().count();
  }
  CORBA::ULongLong random_number(const char* source) override {
    uint64_t number = 0;
    const std::string name = source;
    if (name == "getrandom") {
      if (getrandom(&number, sizeof number, 0) != sizeof number) throw CORBA::INTERNAL();
    } else if (name == "urandom") {
      const int descriptor = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
      const ssize_t got = read(descriptor, &number, sizeof number);
      close(descriptor);
      if (got != sizeof number) throw CORBA::INTERNAL();
    } else if (name == "random_device") {
      std::random_device device;
      number = (uint64_t{device()} << 32) | device();
    } else if (name == "arc4random") {
      arc4random_buf(&number, sizeof number);
    } else if (name == "random") {
      number = static_cast<uint64_t>(random());
    } else if (name == "rand") {
      number = static_cast<uint64_t>(rand());
    } else {
      throw CORBA::BAD_PARAM();
    }
    return number;
  }
  CORBA::Long process_id() override { return getpid(); }
  CORBA::Long processors() override {
    cpu_set_t cpus;
    return sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : -1;
  }
  CORBA::Long processors_of_a_child() override {
    const pid_t child = fork();
    if (child == 0) _exit(processors());
    int status = -1;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  // --- objects ---

  probing::Cell_ptr activate() override {
    auto* servant = new CellServant(poa_);
    PortableServer::ObjectId_var id = poa_->activate_object(servant);
    servant->_remove_ref();
    CORBA::Object_var object = poa_->id_to_reference(id);
    std::lock_guard<std::mutex> hold(cells_lock_);
    ++activations_;
    return probing::Cell::_narrow(object);
  }
  void deactivate(probing::Cell_ptr which) override {
    PortableServer::ObjectId_var id = poa_->reference_to_id(which);
    poa_->deactivate_object(id);
  }

  // --- outside ---

  CORBA::Long call_out(probing::Probe_ptr other, CORBA::Long amount) override {
    const CORBA::Long there = other->add(amount);
    std::lock_guard<std::mutex> hold(counter_lock_);
    ++additions_;
    counter_ += amount;
    return there;
  }
  void say(const char* text) override { std::cout << text << std::endl; }

  // --- faults ---

  void lock_in_one_process(const char* file) override {
    const int made = open(file, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (made >= 0) close(made);
    std::thread([this, made] {
      if (made < 0) return;
      std::lock_guard<std::mutex> hold(counter_lock_);
    }).detach();
  }
  void poison() override { abort(); }
  void leave(CORBA::Long status) override { _exit(status); }  // exit() aborts in stock omniORB
  probing::Bytes* diverge(CORBA::ULong size, CORBA::ULong offset) override {
    auto* bytes = new probing::Bytes;
    bytes->length(size);
    memset(bytes->get_buffer(), 0, size);
    if (offset < size) (*bytes)[offset] = static_cast<CORBA::Octet>(replica_dependent());
    return bytes;
  }
  probing::Gaps* with_gaps(CORBA::Boolean differ, const char* member) override {
    auto* reply = new probing::Gaps;
    const long dependent = differ ? replica_dependent() : 1;
    const std::string name = member;
    auto pick = [&](const char* which) { return name == which ? dependent : 1; };
    reply->first = static_cast<CORBA::Octet>(pick("first"));
    reply->second = pick("second");
    reply->third = static_cast<CORBA::Octet>(pick("third"));
    reply->fourth = static_cast<CORBA::Long>(pick("fourth"));
    const std::string text(3, static_cast<char>('a' + pick("fifth") % 26));
    reply->fifth = CORBA::string_dup(text.c_str());
    reply->sixth = static_cast<CORBA::Octet>(pick("sixth"));
    reply->seventh = static_cast<double>(pick("seventh"));
    return reply;
  }
  CORBA::Any* any_with_gaps() override {
    const std::unique_ptr<probing::Gaps> gaps(with_gaps(false, ""));
    auto* reply = new CORBA::Any;
    *reply <<= *gaps;
    return reply;
  }

 private:
  CORBA::ULong record(CORBA::ULong token) {  // history_lock_ is held
    history_.push_back(token);
    return static_cast<CORBA::ULong>(history_.size());
  }

  void work() {
    for (;;) {
      std::unique_lock<std::mutex> hold(work_lock_);
      work_changed_.wait(hold, [this] { return !work_.empty(); });
      background_sum_ = background_sum_ * 7 + work_.front();
      work_.pop_front();
    }
  }
  void tick() {
    std::unique_lock<std::mutex> hold(tick_lock_);
    for (;;) {
      tick_never_.wait_for(hold, std::chrono::milliseconds(20));
      ++ticks_;
    }
  }

  PortableServer::POA_var poa_;

  std::mutex counter_lock_;
  CORBA::Long counter_ = 0, additions_ = 0;
  std::mutex notes_lock_;
  CORBA::Long notes_ = 0;

  std::mutex history_lock_;
  std::vector<CORBA::ULong> history_;
  pthread_mutex_t recursive_;
  CORBA::ULong recursive_count_ = 0;
  pthread_rwlock_t read_write_ = PTHREAD_RWLOCK_INITIALIZER;
  CORBA::ULong read_write_count_ = 0;
  sem_t semaphore_;
  CORBA::ULong semaphore_count_ = 0;
  omni_semaphore omni_semaphore_{1};
  CORBA::ULong omni_semaphore_count_ = 0;
  pthread_spinlock_t spin_;
  pthread_spinlock_t new_spins_[64];
  std::atomic<CORBA::ULong> new_spin_count_{0};
  CORBA::ULong spin_count_ = 0;
  std::timed_mutex timed_lock_;
  std::atomic<CORBA::ULong> timeouts_{0};
  struct Pair {
    std::once_flag once;
    CORBA::Long token = 0;
    int callers = 0;
  };
  std::mutex pair_lock_;
  std::shared_ptr<Pair> pair_;
  std::once_flag once_;
  CORBA::Long once_token_ = 0;
  pthread_barrier_t barrier_;
  std::mutex meeting_lock_;
  CORBA::Long meeting_sum_ = 0;

  std::mutex queue_lock_;
  std::condition_variable queue_changed_;
  std::deque<CORBA::Long> queue_;
  CORBA::Long naps_ = 0;

  std::mutex work_lock_;
  std::condition_variable work_changed_;
  std::deque<CORBA::Long> work_;
  CORBA::Long background_sum_ = 0;
  std::mutex tick_lock_;
  std::condition_variable tick_never_;
  CORBA::Long ticks_ = 0;

  std::mutex cells_lock_;
  CORBA::Long activations_ = 0;

  // Last: the threads use the members above.
  std::thread worker_, ticker_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    CORBA::ORB_var orb = CORBA::ORB_init(argc, argv);
    CORBA::Object_var object = orb->resolve_initial_references("RootPOA");
    PortableServer::POA_var root = PortableServer::POA::_narrow(object);
    // The object named "probe" in a corbaloc URL lives in omniORB's INS POA.
    object = orb->resolve_initial_references("omniINSPOA");
    PortableServer::POA_var by_name = PortableServer::POA::_narrow(object);
    auto* servant = new ProbeServant(root);
    PortableServer::ObjectId_var id = PortableServer::string_to_ObjectId("probe");
    by_name->activate_object_with_id(id, servant);
    root->the_POAManager()->activate();
    by_name->the_POAManager()->activate();
    std::cout << "probe_server: ready" << std::endl;
    orb->run();
    return 0;
  } catch (const CORBA::Exception& exception) {
    std::cerr << "probe_server: " << exception._name() << std::endl;
    return 1;
  }
}
