// SPDX-License-Identifier: Apache-2.0
//
// How long a stable node (<auxin/stm_node.h>) goes without a processor: from kill() of the primary,
// which has --mib MiB of its own memory resident and all of the stable memory mapped and touched,
// to a consistent state and a backup that has been warned and has the memory.
//
// Each round, a new primary comes back and is given the memory, --threads of its threads run
// transactions, and it is killed at a random moment. One JSON object goes to standard output, times
// in microseconds:
//
//   detected        from kill() until the backup has the lock of the primary's seat
//   recovery        from there until the primary's threads are dead and the state is consistent
//   kill_to_warned  both, and until the backup's on_change runs
//
//   stm_failover [--rounds N] [--mib N] [--threads N] [--directory DIR]
//
// Exit status: 0; 1 if a round failed or the memory is not what it should be; 2: wrong arguments.
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "auxin/stm_node.h"

namespace {

namespace stm = auxin::stm;

constexpr uint64_t kMebibyte = uint64_t{1} << 20;
constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kBlockBytes = kMebibyte / 2;
constexpr int kExitUsage = 2;

struct Arguments {
  uint64_t rounds = 100;
  uint64_t mib = 256;
  uint64_t threads = 1;
  std::string directory = "/dev/shm";
};

// Shared with the children.
struct Words {
  std::atomic<uint32_t> backup_ready, primary_ready, warnings;
  std::atomic<uint64_t> warned_ns, recovery_us, fence_us, ended, commits;
  std::atomic<uint32_t> round;
};

struct Pair : stm::Stable {
  uint64_t first = 0;
  char between[2000] = {};
  uint64_t second = 0;
};
struct Block : stm::Stable {
  char bytes[kBlockBytes];
};

uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void pause_us(long us) {
  const timespec pause = {us / 1'000'000, us % 1'000'000 * 1000};
  nanosleep(&pause, nullptr);
}

bool eventually(const std::atomic<uint32_t>& word, uint32_t value) {
  for (int wait = 0; wait < 20'000; ++wait) {
    if (word >= value) return true;
    pause_us(1000);
  }
  return false;
}

std::string name_of_pair(uint64_t number) { return "pair " + std::to_string(number); }

// A memory full of objects, and a pair for each thread.
void make_memory(const std::string& path, const Arguments& arguments) {
  stm::NewMemory how;
  how.size_bytes = arguments.mib * kMebibyte;
  stm::Memory::create(path, how);
  const stm::Memory memory = stm::Memory::open(path);
  for (uint64_t number = 0; number < std::max<uint64_t>(arguments.threads, 1); ++number) {
    stm::atomically(memory, [&](stm::Transaction& t) {
      t.set_root(name_of_pair(number), t.make<Pair>().reference());
    });
  }
  try {
    for (uint64_t size = 0; size < how.size_bytes; size += kBlockBytes) {
      stm::atomically(memory, [](stm::Transaction& t) { static_cast<void>(t.make<Block>()); });
    }
  } catch (const stm::Failure& failure) {
    if (failure.status() != stm::Status::kFull) throw;
  }
}

void touch(const char* bytes, uint64_t size) {
  for (uint64_t at = 0; at < size; at += kPageBytes) {
    static_cast<void>(*static_cast<const volatile char*>(bytes + at));
  }
}

[[noreturn]] void run_primary(const std::string& path, const Arguments& arguments, Words* words) {
  const uint64_t size = arguments.mib * kMebibyte;
  char* resident = static_cast<char*>(malloc(size));
  for (uint64_t at = 0; at < size; at += kPageBytes) resident[at] = 1;
  stm::StableNode node = stm::StableNode::join(path, stm::as_primary);
  touch(static_cast<const char*>(node.memory().at_address(0)), size);
  if (!node.wait_active(20'000)) _exit(1);
  std::vector<std::thread> threads;
  std::atomic<uint64_t> begun{0};
  for (uint64_t number = 0; number < arguments.threads; ++number) {
    threads.emplace_back([&, number] {
      stm::stable_ptr<Pair> pair;
      for (;; ++begun) {
        stm::atomically(node.memory(), [&](stm::Transaction& t) {
          if (!pair) pair = t.root<Pair>(name_of_pair(number));
          auto opened = t.open<Pair>(pair);
          ++opened->first;
          memset(opened->between, static_cast<int>(opened->first), sizeof(opened->between));
          ++opened->second;
        });
        ++words->commits;
      }
    });
  }
  while (begun < arguments.threads) pause_us(100);
  words->primary_ready = words->round.load();
  for (;;) pause();
}

[[noreturn]] void run_backup(const std::string& path, Words* words) {
  stm::NodeOptions options;
  options.grace_ms = 0;
  options.on_change = [words](const stm::NodeNotice& notice) {
    if (notice.change != stm::NodeChange::kPromoted) return;
    words->warned_ns = now_ns();
    words->recovery_us = notice.recovery_us;
    words->fence_us = notice.fence_us;
    words->ended = words->ended + notice.transactions_undone + notice.transactions_redone;
    ++words->warnings;
  };
  const stm::StableNode node = stm::StableNode::join(path, stm::as_backup, options);
  words->backup_ready = 1;
  for (;;) pause();
}

bool is_sound(const std::string& path, const Arguments& arguments, uint64_t commits) {
  const stm::Memory memory = stm::Memory::open(path);
  uint64_t sum = 0;
  bool whole = true;
  for (uint64_t number = 0; number < arguments.threads; ++number) {
    stm::atomically(memory, [&](stm::Transaction& t) {
      auto pair = t.open<const Pair>(t.root<Pair>(name_of_pair(number)));
      sum += pair->first;
      whole &= pair->first == pair->second &&
               pair->between[1000] == static_cast<char>(pair->first);
    });
  }
  return whole && sum >= commits;
}

void print_times(const char* name, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) {
    return times[static_cast<size_t>(share * static_cast<double>(times.size() - 1))];
  };
  printf("  \"%s_us\": {\"median\": %.0f, \"p95\": %.0f, \"max\": %.0f},\n", name, at(0.5),
         at(0.95),
         times.back());
}

// fork(), which ends the program where it fails: nobody is to signal process -1.
pid_t new_process() {
  const pid_t child = fork();
  if (child >= 0) return child;
  perror("stm_failover: fork");
  exit(1);
}

// In a process of its own, which leaves nothing of the memory open in this one.
bool in_child(const std::function<bool()>& body) {
  const pid_t child = new_process();
  if (child == 0) {
    try {
      _exit(body() ? 0 : 1);
    } catch (const stm::Failure& failure) {
      fprintf(stderr, "stm_failover: %s\n", failure.what());
      _exit(1);
    }
  }
  int status = 1;
  return waitpid(child, &status, 0) == child && status == 0;
}

int measure(const std::string& path, const Arguments& arguments, Words* words) {
  if (!in_child([&] { make_memory(path, arguments); return true; })) return 1;
  const pid_t backup = new_process();
  if (backup == 0) run_backup(path, words);
  bool good = eventually(words->backup_ready, 1);
  std::vector<double> detected, consistent, warned;
  double fence_us = 0;
  srand(1);
  for (uint32_t round = 1; good && round <= arguments.rounds; ++round) {
    words->round = round;
    const pid_t primary = new_process();
    if (primary == 0) run_primary(path, arguments, words);
    good = eventually(words->primary_ready, round);
    pause_us(1000 + rand() % 5000);
    const uint64_t start_ns = now_ns();
    kill(primary, SIGKILL);
    good = good && eventually(words->warnings, round);
    waitpid(primary, nullptr, 0);
    const double whole_us = static_cast<double>(words->warned_ns - start_ns) / 1000;
    warned.push_back(whole_us);
    detected.push_back(whole_us - static_cast<double>(words->recovery_us));
    consistent.push_back(static_cast<double>(words->recovery_us));
    fence_us = std::max(fence_us, static_cast<double>(words->fence_us));
  }
  kill(backup, SIGKILL);
  waitpid(backup, nullptr, 0);
  const bool sound = in_child([&] { return is_sound(path, arguments, words->commits); });
  if (!good || !sound || warned.empty()) {
    fprintf(stderr, "stm_failover: %s\n", sound ? "nobody was promoted" : "the memory is wrong");
    return 1;
  }
  printf("{\n  \"benchmark\": \"stm_failover\", \"rounds\": %zu, \"resident_mib\": %llu,\n",
         warned.size(), static_cast<unsigned long long>(arguments.mib));
  printf("  \"memory_mib\": %llu, \"threads\": %llu,\n",
         static_cast<unsigned long long>(arguments.mib),
         static_cast<unsigned long long>(arguments.threads));
  print_times("detected", detected);
  print_times("recovery", consistent);
  print_times("kill_to_warned", warned);
  const auto late =
      std::count_if(warned.begin(), warned.end(), [](double us) { return us > 1000; });
  printf("  \"over_1_ms\": %lld, \"longest_fence_us\": %.0f, \"transactions_ended\": %llu\n}\n",
         static_cast<long long>(late), fence_us,
         static_cast<unsigned long long>(words->ended.load()));
  return 0;
}

bool parse(int argc, char** argv, Arguments* arguments) {
  const option options[] = {{"rounds", required_argument, nullptr, 'r'},
                            {"mib", required_argument, nullptr, 'm'},
                            {"threads", required_argument, nullptr, 't'},
                            {"directory", required_argument, nullptr, 'd'},
                            {nullptr, 0, nullptr, 0}};
  for (int choice; (choice = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    switch (choice) {
      case 'r': arguments->rounds = strtoull(optarg, nullptr, 10); break;
      case 'm': arguments->mib = strtoull(optarg, nullptr, 10); break;
      case 't': arguments->threads = strtoull(optarg, nullptr, 10); break;
      case 'd': arguments->directory = optarg; break;
      default: return false;
    }
  }
  return optind == argc && arguments->rounds > 0 && arguments->mib > 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, &arguments)) {
    fprintf(stderr, "usage: stm_failover [--rounds N] [--mib N] [--threads N] [--directory DIR]\n");
    return kExitUsage;
  }
  std::string directory = arguments.directory + "/auxin-failover.XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) {
    perror("stm_failover: no directory for the memory");
    return 1;
  }
  const std::string path = directory + "/memory";
  auto* words = static_cast<Words*>(mmap(nullptr, sizeof(Words), PROT_READ | PROT_WRITE,
                                         MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const int status = measure(path, arguments, new (words) Words{});
  unlink(path.c_str());
  rmdir(directory.c_str());
  return status;
}
