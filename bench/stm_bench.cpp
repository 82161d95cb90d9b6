// SPDX-License-Identifier: Apache-2.0
//
// Transactions per second of Auxin's stable memory (<auxin/stm.h>), by the same choices and in the
// same form as stm_peers has them (stm_workload.h). Promise: a transaction is whole or absent after
// the process dies; nothing is promised for the machine (Durability::kProcess).
//
// The memory is used as its experts would: objects derived from Stable; one Transaction per thread,
// begun again and again; Open, memcpy, Close; no guards, whose checks would be made twice. All that
// is checked is what the library cannot be told to leave out: the checksum of bank A and its
// equality with bank B at Open, ownership at Close, the new checksum at Commit.
//
// With several threads each has its own share of the objects, so none waits for another;
// `per_second` is the sum over all, `nanoseconds` what one transaction takes its thread.
//
// Mode isolated has its controller in a child process, spinning or sleeping.
//
// With --pause-us N the one thread rests before each transaction, and `nanoseconds` is the median
// of what one takes by itself: what somebody waits for who does not commit all the time.
//
// Afterwards the memory is closed and opened again, and every object must hold what was last
// written to it.
//
// Exit status: 0; 1 if the memory fails or an object is wrong; 2 for wrong arguments.
#include <getopt.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <barrier>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "auxin/stm.h"
#include "bench/stm_controller.h"
#include "bench/stm_workload.h"

namespace {

using namespace auxin::bench;
namespace stm = auxin::stm;

constexpr uint32_t kMaxThreads = 64;
constexpr uint32_t kObjectsAtOnce = 1024;  // made or compared in one transaction
constexpr int kExitUsage = 2;

struct NamedMode {
  const char* name;
  stm::Mode mode;
};
constexpr NamedMode kModes[] = {{"checked", stm::Mode::kChecked},
                                {"isolated", stm::Mode::kIsolated},
                                {"window", stm::Mode::kWindow}};

struct Arguments {
  const Shape* shape = nullptr;
  const NamedMode* mode = nullptr;
  std::string directory;
  double seconds = 0;
  uint32_t threads = 1;
  uint64_t seed = 1;
  uint64_t pause_us = 0;
  bool spin = true;  // the controller (mode isolated)
};

struct Measured {
  Count count;
  std::vector<double> each_ns;  // of transactions with pauses between them
};

template <uint32_t kBytes>
struct Object : stm::Stable {
  char bytes[kBytes];
};

// All objects of one memory, and one thread's way of working on them.
template <uint32_t kBytes>
class Store {
 public:
  using References = std::vector<stm::stable_ptr<Object<kBytes>>>;

  // The objects of `references`, in `memory` as this process has it now.
  Store(const stm::Memory& memory, const References& references, const Shape& shape)
      : writes_(shape.writes), references_(references), transaction_(memory) {
    for (const auto& reference : references) {
      objects_.push_back(static_cast<Object<kBytes>*>(memory.at_address(reference.address())));
    }
  }

  // kObjects new ones, all zero.
  static References make(const stm::Memory& memory) {
    References made;
    stm::Transaction transaction(memory);
    while (made.size() < kObjects) {
      transaction.Begin();
      for (uint32_t n = 0; n < kObjectsAtOnce; ++n) made.emplace_back(new Object<kBytes>);
      transaction.Commit();
    }
    return made;
  }

  void transact(const Write* writes) {
    transaction_.Begin();
    for (uint32_t n = 0; n < writes_; ++n) {
      Object<kBytes>* object = objects_[writes[n].object];
      object->Open();
      memcpy(object->bytes, writes[n].bytes, kBytes);
      object->Close();
    }
    transaction_.Commit();
  }

  bool holds(uint32_t object, const char* bytes) {
    const stm::TransactionGuard guard(transaction_);
    const auto opened = transaction_.template open<const Object<kBytes>>(references_[object]);
    return memcmp(opened->bytes, bytes, kBytes) == 0;
  }

 private:
  const uint32_t writes_;
  const References& references_;
  std::vector<Object<kBytes>*> objects_;
  stm::Transaction transaction_;
};

uint64_t seed_of(const Arguments& arguments, uint32_t thread) { return arguments.seed + thread; }

template <uint32_t kBytes>
void run_paced(Store<kBytes>& store, Workload& workload, const Arguments& arguments,
               Measured* measured) {
  Write writes[kMaxWrites];
  const timespec pause = {static_cast<time_t>(arguments.pause_us / 1'000'000),
                          static_cast<long>(arguments.pause_us % 1'000'000 * 1000)};
  const double begin = now_seconds();
  do {
    nanosleep(&pause, nullptr);
    workload.next(writes);
    const double from = now_seconds();
    store.transact(writes);
    measured->each_ns.push_back((now_seconds() - from) * 1e9);
    ++measured->count.transactions;
    measured->count.seconds = now_seconds() - begin;
  } while (measured->count.seconds < arguments.seconds);
}

// One thread's warm-up and run; `start` lets all of them begin the latter together.
template <uint32_t kBytes>
void work(const Arguments& arguments, const stm::Memory& memory,
          const typename Store<kBytes>::References& references, uint32_t thread,
          std::barrier<>& start, Count* warm_up, Measured* measured) {
  try {
    Store<kBytes> store(memory, references, *arguments.shape);
    Workload workload(*arguments.shape, seed_of(arguments, thread),
                      Share::of(thread, arguments.threads));
    *warm_up = run_for(store, workload, kWarmUpSeconds);
    start.arrive_and_wait();
    if (arguments.pause_us == 0) {
      measured->count = run_for(store, workload, arguments.seconds);
    } else {
      run_paced(store, workload, arguments, measured);
    }
  } catch (const stm::Failure& failure) {
    fail("%s", failure.what());
  }
}

void print(const Arguments& arguments, std::vector<Measured>& measured) {
  uint64_t transactions = 0;
  double seconds = 0, per_second = 0;
  for (const auto& [count, each] : measured) {
    transactions += count.transactions;
    seconds = fmax(seconds, count.seconds);
    per_second += static_cast<double>(count.transactions) / count.seconds;
  }
  double nanoseconds = 1e9 * arguments.threads / per_second;
  if (std::vector<double>& each = measured[0].each_ns; !each.empty()) {
    const auto middle = each.begin() + static_cast<ptrdiff_t>(each.size() / 2);
    std::nth_element(each.begin(), middle, each.end());
    nanoseconds = *middle;
  }
  const char* controller = arguments.mode->mode != stm::Mode::kIsolated ? "none"
                           : arguments.spin                             ? "spinning"
                                                                        : "sleeping";
  printf(
      "{\"mode\": \"%s\", \"controller\": \"%s\", \"shape\": \"%s\", \"threads\": %u, "
      "\"pause_us\": %llu, \"transactions\": %llu, \"seconds\": %.6f, \"per_second\": %.1f, "
      "\"nanoseconds\": %.1f}\n",
      arguments.mode->name, controller, arguments.shape->name, arguments.threads,
      static_cast<unsigned long long>(arguments.pause_us),
      static_cast<unsigned long long>(transactions), seconds, per_second, nanoseconds);
}

template <uint32_t kBytes>
void measure(const Arguments& arguments) {
  static const TemporaryDirectory directory(arguments.directory);
  const std::string path = directory.path() + "/memory";
  stm::NewMemory how;
  how.size_bytes = kStoreBytes;
  how.mode = arguments.mode->mode;
  stm::Memory::create(path, how);
  static std::optional<ControllerProcess> controller;
  if (how.mode == stm::Mode::kIsolated) controller.emplace(path, arguments.spin);

  typename Store<kBytes>::References references;
  std::vector<Count> warm_ups(arguments.threads);
  std::vector<Measured> measured(arguments.threads);
  {
    stm::Memory memory = stm::Memory::open(path);
    references = Store<kBytes>::make(memory);
    std::barrier<> start(arguments.threads);
    std::vector<std::jthread> others;
    for (uint32_t thread = 1; thread < arguments.threads; ++thread) {
      others.emplace_back([&, thread] {
        work<kBytes>(arguments, memory, references, thread, start, &warm_ups[thread],
                     &measured[thread]);
      });
    }
    work<kBytes>(arguments, memory, references, 0, start, &warm_ups[0], &measured[0]);
    others.clear();
    memory.close();
  }

  const stm::Memory memory = stm::Memory::open(path);
  Store<kBytes> store(memory, references, *arguments.shape);
  for (uint32_t thread = 0; thread < arguments.threads; ++thread) {
    verify(store, *arguments.shape, seed_of(arguments, thread),
           warm_ups[thread].transactions + measured[thread].count.transactions,
           Share::of(thread, arguments.threads));
  }
  if (controller && !controller->stop()) fail("the controller did not end well");
  print(arguments, measured);
}

[[noreturn]] void usage() {
  fputs(
      "usage: stm_bench --shape 64|1k|10k --mode checked|isolated|window --directory DIR "
      "--seconds S\n                 [--threads N] [--seed N] [--controller spinning|sleeping] "
      "[--pause-us N]\n",
      stderr);
  exit(kExitUsage);
}

uint64_t whole_number(const char* text) {
  char* end = nullptr;
  const uint64_t number = strtoull(text, &end, 0);
  if (end == text || *end != '\0') usage();
  return number;
}

Arguments parse(int argc, char** argv) {
  const option options[] = {
      {"shape", required_argument, nullptr, 's'},   {"mode", required_argument, nullptr, 'm'},
      {"directory", required_argument, nullptr, 'd'}, {"seconds", required_argument, nullptr, 't'},
      {"threads", required_argument, nullptr, 'n'}, {"seed", required_argument, nullptr, 'r'},
      {"controller", required_argument, nullptr, 'c'},
      {"pause-us", required_argument, nullptr, 'p'},
      {nullptr, 0, nullptr, 0}};
  Arguments arguments;
  for (int got; (got = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    char* end = nullptr;
    switch (got) {
      case 's':
        arguments.shape = shape_named(optarg);
        break;
      case 'm':
        for (const NamedMode& mode : kModes) {
          if (strcmp(mode.name, optarg) == 0) arguments.mode = &mode;
        }
        break;
      case 'd':
        arguments.directory = optarg;
        break;
      case 't':
        arguments.seconds = strtod(optarg, &end);
        if (end == optarg || *end != '\0') usage();
        break;
      case 'n': {
        const uint64_t threads = whole_number(optarg);
        if (threads < 1 || threads > kMaxThreads) usage();
        arguments.threads = static_cast<uint32_t>(threads);
        break;
      }
      case 'r':
        arguments.seed = whole_number(optarg);
        break;
      case 'c':
        arguments.spin = strcmp(optarg, "spinning") == 0;
        if (!arguments.spin && strcmp(optarg, "sleeping") != 0) usage();
        break;
      case 'p':
        arguments.pause_us = whole_number(optarg);
        break;
      default:
        usage();
    }
  }
  if (arguments.pause_us > 0 && arguments.threads > 1) usage();
  if (optind != argc || arguments.shape == nullptr || arguments.mode == nullptr ||
      arguments.directory.empty() || !isfinite(arguments.seconds) || arguments.seconds <= 0) {
    usage();
  }
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  try {
    if (arguments.shape->object_bytes == 64) {
      measure<64>(arguments);
    } else {
      measure<1024>(arguments);
    }
  } catch (const stm::Failure& failure) {
    fail("%s", failure.what());
  }
  return 0;
}
