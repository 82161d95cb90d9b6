// SPDX-License-Identifier: Apache-2.0
//
// A program that is saved and restored: threads in many kinds of wait, memory that it knows by
// heart, descriptors of all kinds. It talks through a pair of files: commands in, answers out.
//
//   image_subject DIRECTORY THREADS MEGABYTES [deltas]
//
// Once a round it waits for DIRECTORY/go.N, checks everything, saves itself as DIRECTORY/image.N
// and writes DIRECTORY/saved.N; in the restored process it goes on with the round after. The method
// is that of AUXIN_CHECKPOINT_METHOD.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "checkpoint/process/process_image.h"
#include "checkpoint/process/thread_restart.h"
#include "checkpoint/tests/method_under_test.h"

namespace {

std::string directory;

[[noreturn]] void wrong(const std::string& what) {
  fprintf(stderr, "image_subject: %s\n", what.c_str());
  _exit(70);
}

void touch(const std::string& name, const std::string& text) {
  const std::string path = directory + "/" + name;
  FILE* file = fopen((path + ".tmp").c_str(), "w");
  if (file == nullptr) wrong("can't write " + path);
  fputs(text.c_str(), file);
  fclose(file);
  rename((path + ".tmp").c_str(), path.c_str());
}

// A thread that does one step of what it is for each time it is let, and counts its steps.
struct Worker {
  virtual ~Worker() = default;
  virtual void await_turn() = 0;
  virtual void give_turn() = 0;
  std::atomic<uint64_t> steps{0};
  std::thread thread;
  void start() {
    thread = std::thread([this] {
      for (;;) {
        await_turn();
        try {
          throw std::runtime_error("unwinding works");  // the stack is whole
        } catch (const std::runtime_error&) {
          ++steps;
        }
      }
    });
  }
};

struct PipeWorker : Worker {
  int ends[2];
  PipeWorker() { if (pipe(ends) != 0) wrong("pipe"); }
  void await_turn() override {
    char c;
    if (read(ends[0], &c, 1) != 1) wrong("read of a pipe: " + std::to_string(errno));
  }
  void give_turn() override { if (write(ends[1], "x", 1) != 1) wrong("write of a pipe"); }
};

struct PollWorker : PipeWorker {
  void await_turn() override {
    pollfd one{ends[0], POLLIN, 0};
    if (poll(&one, 1, 3'600'000) != 1) wrong("poll: " + std::to_string(errno));
    PipeWorker::await_turn();
  }
};

struct EpollWorker : PipeWorker {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  EpollWorker() {
    epoll_event event{EPOLLIN, {.u64 = 77}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event);
  }
  void await_turn() override {
    epoll_event event;
    if (epoll_wait(epoll, &event, 1, -1) != 1 || event.data.u64 != 77) wrong("epoll_wait");
    PipeWorker::await_turn();
  }
};

struct EventWorker : Worker {
  int counter = eventfd(0, EFD_SEMAPHORE);
  void await_turn() override {
    eventfd_t value;
    if (eventfd_read(counter, &value) != 0) wrong("eventfd");
  }
  void give_turn() override { eventfd_write(counter, 1); }
};

struct ConditionWorker : Worker {
  std::mutex mutex;
  std::condition_variable changed;
  int turns = 0;
  void await_turn() override {
    std::unique_lock guard(mutex);
    while (turns == 0) changed.wait_for(guard, std::chrono::hours(1));
    --turns;
  }
  void give_turn() override {
    std::lock_guard guard(mutex);
    ++turns;
    changed.notify_one();
  }
};

struct SemaphoreWorker : Worker {
  sem_t semaphore;
  SemaphoreWorker() { sem_init(&semaphore, 0, 0); }
  void await_turn() override { if (sem_wait(&semaphore) != 0) wrong("sem_wait"); }
  void give_turn() override { sem_post(&semaphore); }
};

// Recursive and error-checking mutexes hold their owner's number.
struct OwnerWorker : SemaphoreWorker {
  pthread_mutex_t recursive, checking;
  bool held = false;
  OwnerWorker() {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&recursive, &attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&checking, &attributes);
  }
  void await_turn() override {
    if (!held && (pthread_mutex_lock(&recursive) != 0 || pthread_mutex_lock(&checking) != 0))
      wrong("lock");
    held = true;
    SemaphoreWorker::await_turn();
    if (pthread_mutex_lock(&recursive) != 0 || pthread_mutex_unlock(&recursive) != 0)
      wrong("a recursive mutex is not its owner's any more");
    if (pthread_mutex_lock(&checking) != EDEADLK) wrong("an error-checking mutex forgot its owner");
  }
};

struct Memory {
  std::vector<uint64_t> words;
  std::vector<uint64_t> changes;   // what has been added to each word since it was filled
  uint64_t seed;
  Memory(size_t size_bytes, uint64_t first) : words(size_bytes / 8), seed(first) { fill(); }
  static uint64_t next(uint64_t& state) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state ^ (state >> 29);
  }
  void fill() {
    uint64_t state = seed;
    for (uint64_t& word : words) word = next(state);
  }
  void check() const {
    uint64_t state = seed;
    for (size_t i = 0; i < words.size(); ++i) {
      const uint64_t expected = next(state) + (i < changes.size() ? changes[i] : 0);
      if (words[i] != expected) wrong("memory is not what it was");
    }
  }
  // Some words here and there, and now and then all of them.
  void change(size_t round) {
    if (round % 7 == 6) {
      seed = round + 2;
      changes.assign(changes.size(), 0);
      fill();
      return;
    }
    if (changes.empty()) changes.resize(words.size());
    for (size_t i = round * 97 % 1000; i < words.size(); i += 60'001) {
      changes[i] += round + 1;
      words[i] += round + 1;
    }
  }
};

// Mappings that grow, shrink, are dropped, moved and made anew between saves; each knows what is in
// it: its pages begin with their number and the round in which they were written, or are zeros.
class Mappings {
 public:
  void change(int round) {
    std::vector<Mapping> left;
    for (Mapping& mapping : all_) {
      mapping.check();
      switch ((round + mapping.pages) % 6) {
        case 0:
          munmap(mapping.at, mapping.size());
          continue;
        case 1:   // other memory at the same place
          mmap(mapping.at, mapping.size(), PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
          mapping.rounds.assign(mapping.pages, 0);
          break;
        case 2: {
          const size_t grown = mapping.pages + 3;
          mapping.at = static_cast<char*>(
              mremap(mapping.at, mapping.size(), grown * 4096, MREMAP_MAYMOVE));
          mapping.pages = grown;
          mapping.rounds.resize(grown, 0);
          break;
        }
        case 3:
          madvise(mapping.at + 4096, 4096, MADV_DONTNEED);
          mapping.rounds[1] = 0;
          break;
        default:
          break;
      }
      mapping.write(round % mapping.pages, round + 1);
      left.push_back(mapping);
    }
    Mapping fresh;
    fresh.pages = 4 + static_cast<size_t>(round % 9);
    fresh.at = static_cast<char*>(mmap(nullptr, fresh.size(), PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    fresh.rounds.assign(fresh.pages, 0);
    for (size_t i = 0; i < fresh.pages; i += 2) fresh.write(i, round + 1);
    left.push_back(fresh);
    all_ = left;
  }
  void check() const {
    for (const Mapping& mapping : all_) mapping.check();
  }

 private:
  struct Mapping {
    char* at;
    size_t pages;
    std::vector<int> rounds;   // by page; 0: zeros
    size_t size() const { return pages * 4096; }
    void write(size_t page, int round) {
      rounds[page] = round;
      memset(at + page * 4096, round, 4096);
    }
    void check() const {
      for (size_t page = 0; page < pages; ++page)
        for (size_t i = 0; i < 4096; i += 511)
          if (at[page * 4096 + i] != static_cast<char>(rounds[page]))
            wrong("a mapping is not what it was");
    }
  };
  std::vector<Mapping> all_;
};

// A thread that never stops writing: round and round through its words, several on each page. Each
// must be what it wrote there one round ago: a page of an image that is older or newer than the
// place where the thread stood would not be.
class Writer {
 public:
  explicit Writer(size_t size_bytes) : words_(size_bytes / 8) {
    thread_ = std::thread([this] {
      const size_t places = words_.size() / kStride;
      for (uint64_t number = 0;; ++number) {
        volatile uint64_t& word = words_[number % places * kStride];
        if (number >= places && word != number - places)
          wrong("the writer wrote " + std::to_string(number - places) + " where " +
                std::to_string(word) + " stands");
        word = number;
        if (number % places == 0) ++rounds_;
      }
    });
  }
  void check() const {   // a whole round since it was restored
    const uint64_t before = rounds_;
    while (rounds_ < before + 2) usleep(200);
  }

 private:
  static constexpr size_t kStride = 199;   // words; no divisor of a page's
  std::vector<uint64_t> words_;
  std::atomic<uint64_t> rounds_{0};
  std::thread thread_;
};

// As malloc has its heaps: large parts without any access, of which more and more is used, and
// given back; some is closed again with what is in it.
class Reserve {
 public:
  Reserve()
      : at_(static_cast<char*>(mmap(nullptr, kPieces * kPieceBytes, PROT_NONE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {}
  void change(int round) {
    char* const piece = at_ + (round * 7 % kPieces) * kPieceBytes;
    int& holds = holds_[(piece - at_) / kPieceBytes];
    if (holds != 0 && round % 3 == 0) {
      mmap(piece, kPieceBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
           -1, 0);
      holds = 0;
      return;
    }
    mprotect(piece, kPieceBytes, PROT_READ | PROT_WRITE);
    holds = round % 200 + 1;
    memset(piece + kPieceBytes / 3, holds, 5000);
    if (round % 2 == 0) mprotect(piece, kPieceBytes, PROT_NONE);
  }
  void check() {
    for (int i = 0; i < kPieces; ++i) {
      char* const piece = at_ + i * kPieceBytes;
      if (holds_[i] == 0) continue;
      mprotect(piece, kPieceBytes, PROT_READ | PROT_WRITE);
      const char* const written = piece + kPieceBytes / 3;
      if (written[0] != static_cast<char>(holds_[i]) || written[4999] != written[0] ||
          written[-1] != 0 || written[5000] != 0)
        wrong("reserved memory is not what it was");
      if (holds_[i] % 2 == 1) mprotect(piece, kPieceBytes, PROT_NONE);
    }
  }

 private:
  static constexpr int kPieces = 40;
  static constexpr size_t kPieceBytes = 400 * 4096;
  char* const at_;
  int holds_[kPieces] = {};
};

// Timers of timer_create with gaps in their numbers: one tells a certain thread, one is libc's own
// (it has a thread that it tells), one only counts down.
class Timers {
 public:
  Timers() {
    thread_ = std::thread([this] { wait_for_signals(); });
    while (tid_ == 0) usleep(100);
    timer_t passed_over = make({}, 0);
    sigevent to_thread = event(SIGEV_THREAD_ID);
    to_thread.sigev_signo = kSignal;
    to_thread.sigev_value.sival_int = 4711;
    to_thread._sigev_un._tid = tid_;
    make(to_thread, 5'000'000);
    timer_delete(passed_over);
    sigevent calls = event(SIGEV_THREAD);
    calls.sigev_notify_function = [](sigval self) {
      ++static_cast<Timers*>(self.sival_ptr)->calls_;
    };
    calls.sigev_value.sival_ptr = this;
    calls_once_ = make(calls, 0);
    counts_down_ = make(event(SIGEV_NONE), 0);
    const itimerspec hours{{0, 0}, {7200, 0}};
    timer_settime(counts_down_, 0, &hours, nullptr);
  }
  void check() {
    const uint64_t signals = signals_, calls = calls_;
    const itimerspec once{{0, 0}, {0, 900'000}};
    if (timer_settime(calls_once_, 0, &once, nullptr) != 0) wrong("timer_settime");
    while (signals_ == signals || calls_ == calls) usleep(100);
    itimerspec left;
    if (timer_gettime(counts_down_, &left) != 0 || left.it_value.tv_sec > 7200 ||
        left.it_value.tv_sec < 3600)
      wrong("a timer is not what it was");
  }

 private:
  static constexpr int kSignal = 40;
  static sigevent event(int notify) {
    sigevent made{};
    made.sigev_notify = notify;
    return made;
  }
  static timer_t make(sigevent how, long every_ns) {
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, every_ns == 0 && how.sigev_notify == 0 ? nullptr : &how,
                     &timer) != 0)
      wrong("timer_create");
    const itimerspec times{{0, every_ns}, {0, every_ns}};
    timer_settime(timer, 0, &times, nullptr);
    return timer;
  }
  void wait_for_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, kSignal);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    tid_ = static_cast<int>(syscall(SYS_gettid));
    for (;;) {
      siginfo_t about;
      if (sigwaitinfo(&set, &about) != kSignal || about.si_value.sival_int != 4711)
        wrong("sigwaitinfo: " + std::to_string(errno));
      ++signals_;
    }
  }

  std::thread thread_;
  std::atomic<int> tid_{0};
  std::atomic<uint64_t> signals_{0}, calls_{0};
  timer_t calls_once_, counts_down_;
};

// What madvise(2) can say of whole pages only.
void keep_from_children(Memory& memory, int advice) {
  const auto begin = reinterpret_cast<uint64_t>(memory.words.data());
  const uint64_t first = (begin + 4095) / 4096 * 4096;
  const uint64_t last = (begin + memory.words.size() * 8) / 4096 * 4096;
  if (madvise(reinterpret_cast<void*>(first), last - first, advice) != 0) wrong("madvise");
}

template <typename T>
void add(std::vector<std::unique_ptr<Worker>>& workers) {
  workers.push_back(std::make_unique<T>());
}

// Where the process numbers are the test's own (AUXIN_OWN_NUMBERS), if no thread has the number.
void next_thread_gets(int number) {
  if (getenv("AUXIN_OWN_NUMBERS") == nullptr) return;
  FILE* last = number > 1 ? fopen("/proc/sys/kernel/ns_last_pid", "w") : nullptr;
  if (number > 1 && last == nullptr) wrong("ns_last_pid can't be written");
  if (last == nullptr) return;
  fprintf(last, "%d", number - 1);
  fclose(last);
}

int run(int thread_count, size_t megabytes, bool deltas) {
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<OwnerWorker*> owners;
  for (int i = 0; static_cast<int>(workers.size()) < thread_count; ++i) {
    switch (i % 7) {
      case 0: add<PipeWorker>(workers); break;
      case 1: add<PollWorker>(workers); break;
      case 2: add<EpollWorker>(workers); break;
      case 3: add<EventWorker>(workers); break;
      case 4: add<ConditionWorker>(workers); break;
      case 5: add<SemaphoreWorker>(workers); break;
      default:
        add<OwnerWorker>(workers);
        owners.push_back(static_cast<OwnerWorker*>(workers.back().get()));
        break;
    }
  }
  for (auto& worker : workers) worker->start();
  Memory memory(megabytes << 20, 1);
  Mappings mappings;
  void* guarded = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  strcpy(static_cast<char*>(guarded), "behind a guard");
  mprotect(guarded, 4096, PROT_NONE);
  Memory kept_from_children(1 << 20, 5), wiped_in_children(1 << 20, 6);
  keep_from_children(kept_from_children, MADV_DONTFORK);
  keep_from_children(wiped_in_children, MADV_WIPEONFORK);
  FILE* log = fopen((directory + "/log").c_str(), "w");
  FILE* journal = fopen((directory + "/journal").c_str(), "a");
  auxin::checkpoint::RestoreHooks hooks;
  hooks.owns_files = [] { return access((directory + "/owns").c_str(), F_OK) == 0; };
  auxin::checkpoint::set_restore_hooks(hooks);
  std::atomic<uint64_t> ticks{0};
  std::thread ticker([&] { for (;;) { usleep(500); ++ticks; } });
  Timers timers;
  Reserve reserve;
  Writer writer(2 << 20);
  for (int round = 0;; ++round) {
    const std::string number = std::to_string(round);
    while (access((directory + "/go." + number).c_str(), F_OK) != 0) usleep(1000);
    if (access((directory + "/end").c_str(), F_OK) == 0) break;
    for (auto& worker : workers) worker->give_turn();
    for (auto& worker : workers)
      while (worker->steps.load() != static_cast<uint64_t>(round) + 1) usleep(100);
    memory.check();
    memory.change(static_cast<size_t>(round));
    for (Memory* uninherited : {&kept_from_children, &wiped_in_children}) {
      uninherited->check();
      uninherited->change(static_cast<size_t>(round));
    }
    mappings.change(round);
    mprotect(guarded, 4096, PROT_READ);
    if (strcmp(static_cast<char*>(guarded), "behind a guard") != 0) wrong("guarded memory");
    mprotect(guarded, 4096, PROT_NONE);
    const uint64_t before = ticks;
    while (ticks == before) usleep(100);
    timers.check();
    writer.check();
    reserve.check();
    reserve.change(round);
    const int owner = owners.empty() ? 0 : owners.front()->recursive.__data.__owner;
    next_thread_gets(owner);
    std::thread fresh([&] {     // new threads can be made, and joined
      auxin::checkpoint::take_number_of_its_own();
      for (OwnerWorker* each : owners)
        if (pthread_mutex_trylock(&each->recursive) != EBUSY) wrong("a mutex has two owners");
    });
    fresh.join();
    char* grown = static_cast<char*>(malloc(300'000));
    memset(grown, round, 300'000);
    if (grown[299'999] != static_cast<char>(round)) wrong("malloc");
    if (round % 2 != 0) free(grown);
    fprintf(log, "round %d\n", round);
    fflush(log);
    fprintf(journal, "round %d\n", round);
    fflush(journal);
    auxin::checkpoint::SaveOptions options;
    const std::string path = directory + "/image." + number;
    options.path = path.c_str();
    options.sync = false;
    options.base = !deltas || !auxin::checkpoint::can_save_delta();
    options.method = auxin::checkpoint::test::method_under_test();
    const auxin::checkpoint::SaveResult result = auxin::checkpoint::save_process(options);
    memory.check();
    mappings.check();
    kept_from_children.check();
    wiped_in_children.check();
    switch (result.outcome) {
      case auxin::checkpoint::SaveOutcome::kSaved:
        touch("saved." + number, std::to_string(result.pause_ns) + " " +
                                     std::to_string(result.size_bytes) + " " +
                                     std::to_string(result.sequence) + " " +
                                     auxin::checkpoint::name_of(result.method) + "\n");
        break;
      case auxin::checkpoint::SaveOutcome::kRestored:
        touch("restored." + number, std::to_string(getpid()) + "\n");
        break;
      default:
        wrong(result.message);
    }
  }
  touch("ended", "0\n");
  _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) return 2;
  directory = argv[1];
  return run(atoi(argv[2]), static_cast<size_t>(atoi(argv[3])), argc == 5);
}
