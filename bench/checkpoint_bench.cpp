// SPDX-License-Identifier: Apache-2.0
//
// The checkpoint service by itself, over 256 MiB that are all there.
//
//   checkpoint_bench --what pause   --method M   one page in a hundred changes: the pause
//   checkpoint_bench --what full-dirty --method M   every page changes: stores and pause together
//   checkpoint_bench --what precopy --rounds N   10 % changed, a writer goes on: the pause
//   checkpoint_bench --what track                a changed page: its first store and the look
//   checkpoint_bench --what track-plain          the same by a plain mprotect and SIGSEGV
//   checkpoint_bench --what mark                 marking an object
//
// with --seconds S. Prints a JSON object with the median and the 95th percentile of what was
// measured, in microseconds (track: nanoseconds a page; mark: nanoseconds). What was captured is
// compared with the memory before anything is printed.
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "auxin/checkpoint.h"
#include "checkpoint/message/image.h"
#include "checkpoint/state/named_state.h"

namespace {

using namespace auxin::checkpoint;

constexpr uint64_t kBytes = uint64_t{256} << 20, kPages = kBytes / kPageBytes;

double now_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

[[noreturn]] void give_up(const std::string& why) {
  fprintf(stderr, "checkpoint_bench: %s\n", why.c_str());
  exit(1);
}

void demand(const Outcome& outcome) {
  if (!outcome) give_up(outcome.sentence);
}

char* make_memory() {
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) give_up("no memory");
  memset(memory, 1, kBytes);
  return static_cast<char*>(memory);
}

void print(std::vector<double> figures, const char* reason) {
  if (figures.empty()) give_up("nothing was measured: give it more seconds");
  std::sort(figures.begin(), figures.end());
  printf("{\"median\": %.3f, \"p95\": %.3f, \"max\": %.3f, \"count\": %zu, \"reason\": \"%s\"}\n",
         figures[figures.size() / 2], figures[figures.size() * 95 / 100], figures.back(),
         figures.size(), reason);
}

std::unique_ptr<NamedState> make_state(StateOptions options, const std::string& method,
                                       char* memory) {
  if (!method_of_name(method.c_str(), &options.method)) give_up("no such method");
  Expected<std::unique_ptr<NamedState>> state = NamedState::create(options);
  if (!state) give_up(state.outcome().sentence);
  demand((*state)->add_range(1, memory, kBytes));
  return std::move(*state);
}

// Captures and brings the image forward.
void take(NamedState& state, CaptureKind kind, Image& image) {
  demand(state.capture(kind));
  const Expected<ByteBuffer> message = state.message();
  if (!message) give_up(message.outcome().sentence);
  const Expected<MessageView> view = MessageView::of(message->view());
  if (!view) give_up(view.outcome().sentence);
  demand(image.apply(*view));
}

void compare(const Image& image, const char* memory) {
  if (memcmp(image.region(1)->bytes.data(), memory, kBytes) != 0) {
    give_up("the image is not the memory");
  }
}

double pause_us(const NamedState& state) {
  return static_cast<double>(state.statistics().last.pause_ns) / 1000;
}

void measure_pause(const std::string& method, double seconds) {
  char* const memory = make_memory();
  const auto state = make_state({}, method, memory);
  Image image;
  take(*state, CaptureKind::kBase, image);
  std::mt19937_64 random(1);
  std::vector<double> pauses;
  const double end_us = now_us() + seconds * 1e6;
  do {
    for (uint64_t i = 0; i < kPages / 100; ++i) {
      memory[random() % kPages * kPageBytes + random() % kPageBytes] += 1;
    }
    take(*state, CaptureKind::kIncrement, image);
    pauses.push_back(pause_us(*state));
  } while (now_us() < end_us);
  compare(image, memory);
  print(pauses, state->statistics().last.reason);
}

// What a program pays for each turn: its stores, and the pause.
void measure_full_dirty(const std::string& method, double seconds) {
  char* const memory = make_memory();
  const auto state = make_state({}, method, memory);
  Image image;
  take(*state, CaptureKind::kBase, image);
  std::vector<double> turns;
  double end_us = now_us() + seconds * 1e6;
  for (int turn = 0; now_us() < end_us || turn < 8; ++turn) {
    const double began_us = now_us();
    for (uint64_t page = 0; page < kPages; ++page) memory[page * kPageBytes + 64] += 1;
    demand(state->capture(CaptureKind::kIncrement));
    const double took_us = now_us() - began_us;
    state->abandon();  // the next one holds it too: only the copies are measured
    if (turn >= 3) turns.push_back(took_us);
  }
  take(*state, CaptureKind::kIncrement, image);
  compare(image, memory);
  print(turns, state->statistics().last.reason);
}

// A writer that changes pages here and there, and stands still in the pause.
class Writer {
 public:
  explicit Writer(char* memory) : thread_([this, memory] { run(memory); }) {}
  ~Writer() {
    end_ = true;
    thread_.join();
  }
  static void pause(void* self) {
    static_cast<Writer*>(self)->wanted_ = true;
    while (!static_cast<Writer*>(self)->stands_) std::this_thread::yield();
  }
  static void resume(void* self) { static_cast<Writer*>(self)->wanted_ = false; }

 private:
  static constexpr double kPagesOfAMicrosecond = 0.05;

  void run(char* memory) {
    std::mt19937_64 random(2);
    const double began_us = now_us();
    for (double stored = 0; !end_;) {
      stands_ = wanted_.load();
      if (stands_ || stored > (now_us() - began_us) * kPagesOfAMicrosecond) {
        std::this_thread::yield();
        continue;
      }
      memory[random() % kPages * kPageBytes] += 1;
      stored += 1;
    }
    stands_ = true;
  }

  std::atomic<bool> wanted_{false}, stands_{false}, end_{false};
  std::thread thread_;
};

void measure_precopy(uint32_t rounds, double seconds) {
  char* const memory = make_memory();
  Writer* writer = nullptr;
  StateOptions options;
  options.pause_context = &writer;
  options.pause = [](void* context) {
    if (Writer* of = *static_cast<Writer**>(context)) Writer::pause(of);
  };
  options.resume = [](void* context) {
    if (Writer* of = *static_cast<Writer**>(context)) Writer::resume(of);
  };
  const auto state = make_state(options, "wp-async", memory);
  Image image;
  take(*state, CaptureKind::kBase, image);
  std::vector<double> pauses;
  {
    Writer running(memory);
    writer = &running;
    const double end_us = now_us() + seconds * 1e6;
    std::mt19937_64 random(1);
    do {
      // Not byte 0, which is the writer's.
      for (uint64_t i = 0; i < kPages / 10; ++i) memory[random() % kPages * kPageBytes + 9]++;
      demand(state->capture(CaptureKind::kIncrement, rounds));
      pauses.push_back(pause_us(*state));
      const Expected<ByteBuffer> message = state->message();
      if (!message) give_up(message.outcome().sentence);
      demand(image.apply(*MessageView::of(message->view())));
    } while (now_us() < end_us);
    writer = nullptr;
  }
  take(*state, CaptureKind::kIncrement, image);
  compare(image, memory);
  print(pauses, state->statistics().last.reason);
}

// Stores to one page in ten; nanoseconds for each, without what untracked stores take.
class Stores {
 public:
  Stores() {
    std::mt19937_64 random(1);
    for (uint64_t i = 0; i < kPages; ++i) order_.push_back(i);
    std::shuffle(order_.begin(), order_.end(), random);
    order_.resize(kPages / 10);
  }
  double us(char* memory) const {
    const double began_us = now_us();
    for (const uint64_t page : order_) memory[page * kPageBytes] += 1;
    return now_us() - began_us;
  }
  double ns_of_page(double tracked_us, double untracked_us) const {
    return (tracked_us - untracked_us) * 1000 / static_cast<double>(order_.size());
  }
  size_t count() const { return order_.size(); }

 private:
  std::vector<uint64_t> order_;
};

void measure_track(double seconds) {
  char* const memory = make_memory();
  char* const untracked = make_memory();
  const Stores stores;
  PageTracker tracker;
  TrackerOptions options;
  options.method = TrackingMethod::kWpAsync;
  options.adaptive = false;
  if (tracker.open(options) != TrackingStatus::kOk) give_up(tracker.reason());
  const uint64_t begin = reinterpret_cast<uint64_t>(memory);
  if (tracker.add(begin, begin + kBytes) != TrackingStatus::kOk) give_up("it can't be tracked");
  const RunVisitor nothing{nullptr, [](void*, const PageRun&) {}};
  tracker.look(nothing);
  std::vector<double> figures;
  const double end_us = now_us() + seconds * 1e6;
  do {
    const double plain_us = stores.us(untracked);
    const double store_us = stores.us(memory);
    const double looked_at_us = now_us();
    const LookReport report = tracker.look(nothing);
    const double look_us = now_us() - looked_at_us;
    if (report.changed_bytes != stores.count() * kPageBytes) give_up("not what was stored");
    figures.push_back(stores.ns_of_page(store_us + look_us, plain_us));
  } while (now_us() < end_us);
  print(figures, tracker.reason());
}

// What a program without the service would do: protect all, open and note a page at its fault.
char* plain_memory = nullptr;
std::vector<uint8_t> plain_noted;

void measure_track_plain(double seconds) {
  plain_memory = make_memory();
  plain_noted.resize(kPages);
  char* const untracked = make_memory();
  const Stores stores;
  struct sigaction action {};
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    const uint64_t page =
        static_cast<uint64_t>(static_cast<char*>(info->si_addr) - plain_memory) / kPageBytes;
    if (page >= kPages) _exit(3);
    plain_noted[page] = 1;
    mprotect(plain_memory + page * kPageBytes, kPageBytes, PROT_READ | PROT_WRITE);
  };
  sigaction(SIGSEGV, &action, nullptr);
  mprotect(plain_memory, kBytes, PROT_READ);
  std::vector<double> figures;
  const double end_us = now_us() + seconds * 1e6;
  do {
    const double plain_us = stores.us(untracked);
    const double store_us = stores.us(plain_memory);
    const double looked_at_us = now_us();
    mprotect(plain_memory, kBytes, PROT_READ);
    const size_t found = static_cast<size_t>(
        std::count(plain_noted.begin(), plain_noted.end(), uint8_t{1}));
    std::fill(plain_noted.begin(), plain_noted.end(), uint8_t{0});
    const double look_us = now_us() - looked_at_us;
    if (found != stores.count()) give_up("not what was stored");
    figures.push_back(stores.ns_of_page(store_us + look_us, plain_us));
  } while (now_us() < end_us);
  print(figures, "plain");
}

void measure_mark(double seconds) {
  struct Object {
    uint64_t value[8];
  };
  std::vector<Object> objects(4096);
  std::vector<auxin_checkpoint_mark> marks;
  State state;
  for (size_t i = 0; i < objects.size(); ++i) marks.push_back(state.add_object(i + 1, &objects[i]));
  std::vector<double> figures;
  const double end_us = now_us() + seconds * 1e6;
  do {
    constexpr int kTurns = 100;
    const double began_us = now_us();
    for (int turn = 0; turn < kTurns; ++turn) {
      for (const auxin_checkpoint_mark mark : marks) auxin_checkpoint_changed(mark);
    }
    figures.push_back((now_us() - began_us) * 1000 / kTurns / static_cast<double>(marks.size()));
  } while (now_us() < end_us);
  state.capture();
  state.take_message();
  if (state.statistics().last_object_bytes != objects.size() * sizeof(Object)) {
    give_up("marks were lost");
  }
  print(figures, "an inline store");
}

}  // namespace

int main(int argc, char** argv) {
  const option options[] = {{"what", required_argument, nullptr, 'w'},
                            {"method", required_argument, nullptr, 'm'},
                            {"rounds", required_argument, nullptr, 'r'},
                            {"seconds", required_argument, nullptr, 's'},
                            {nullptr, 0, nullptr, 0}};
  std::string what, method = "wp-async";
  uint32_t rounds = 0;
  double seconds = 1;
  for (int each; (each = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    switch (each) {
      case 'w': what = optarg; break;
      case 'm': method = optarg; break;
      case 'r': rounds = static_cast<uint32_t>(strtoul(optarg, nullptr, 10)); break;
      case 's': seconds = strtod(optarg, nullptr); break;
      default: return 2;
    }
  }
  if (what == "pause") {
    measure_pause(method, seconds);
  } else if (what == "full-dirty") {
    measure_full_dirty(method, seconds);
  } else if (what == "precopy") {
    measure_precopy(rounds, seconds);
  } else if (what == "track") {
    measure_track(seconds);
  } else if (what == "track-plain") {
    measure_track_plain(seconds);
  } else if (what == "mark") {
    measure_mark(seconds);
  } else {
    give_up("--what pause|full-dirty|precopy|track|track-plain|mark");
  }
  return 0;
}
