// SPDX-License-Identifier: Apache-2.0
//
// The guards are in a table of fixed size, so that a handler can look at it without a lock. What
// finds no place in it is guarded all the same; only the sentence is not as exact.
#include "checkpoint/detection/guarded_memory.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

#include "checkpoint/log/event_log.h"
#include "checkpoint/tracking/page_run.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

namespace auxin::checkpoint {
namespace {

constexpr uint32_t kMostGuarded = 4096;

struct Guarded {
  std::atomic<uint64_t> begin{0};  // of the memory, not of the guard before it; 0: free
  std::atomic<uint64_t> end{0};
  std::atomic<const char*> what{nullptr};
};
Guarded table[kMostGuarded];
std::atomic<uint32_t> most_used{0};   // places that were ever taken

struct sigaction earlier;
std::atomic<bool> installed{false};
thread_local bool inside = false;

uint64_t pages_of(uint64_t size_bytes) {
  return (size_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

void enter(uint64_t begin, uint64_t end, const char* what) {
  for (uint32_t i = 0; i < kMostGuarded; ++i) {
    uint64_t none = 0;
    if (!table[i].begin.compare_exchange_strong(none, begin)) continue;
    table[i].what = what;
    table[i].end = end;
    uint32_t used = most_used.load();
    while (used <= i && !most_used.compare_exchange_weak(used, i + 1)) {
    }
    return;
  }
}

void leave(uint64_t begin) {
  for (uint32_t i = 0; i < most_used.load(); ++i) {
    if (table[i].begin.load() != begin) continue;
    table[i].end = 0;
    table[i].begin = 0;
    return;
  }
}

void tell(const Guarded& guarded, uint64_t address) {
  const uint64_t begin = guarded.begin.load(), end = guarded.end.load();
  const bool behind = address >= end;
  char text[200];
  const int length = snprintf(
      text, sizeof text, "auxin: overrun: byte %llu %s %s (%llu bytes at %#llx) was touched\n",
      static_cast<unsigned long long>(behind ? address - end + 1 : begin - address),
      behind ? "behind" : "before", guarded.what.load(),
      static_cast<unsigned long long>(end - begin), static_cast<unsigned long long>(begin));
  if (write(STDERR_FILENO, text, static_cast<size_t>(length)) < 0) {
    // Nobody reads it; the log and the signal are left.
  }
  auxin_checkpoint_record record{};
  record.event = AUXIN_CHECKPOINT_EVENT_DETECTED;
  record.status = AUXIN_CHECKPOINT_WRONG_CALL;
  record.value = address;
  record.bytes = end - begin;
  EventLog::tell(record);
}

void handle(int number, siginfo_t* information, void* context) {
  const auto address = reinterpret_cast<uint64_t>(information->si_addr);
  for (uint32_t i = 0; i < most_used.load() && !inside; ++i) {
    const uint64_t begin = table[i].begin.load(), end = table[i].end.load();
    if (begin == 0 || end == 0) continue;
    if ((address >= end && address < end + kPageBytes) ||
        (address < begin && address >= begin - kPageBytes)) {
      tell(table[i], address);
      break;
    }
  }
  // Another handler, put before this one since, may hand it back: then it is nobody's.
  const bool again = inside;
  if (!again && (earlier.sa_flags & SA_SIGINFO) != 0) {
    inside = true;
    earlier.sa_sigaction(number, information, context);
    inside = false;
  } else if (!again && earlier.sa_handler != SIG_DFL && earlier.sa_handler != SIG_IGN) {
    inside = true;
    earlier.sa_handler(number);
    inside = false;
  } else {
    struct sigaction none = {};
    none.sa_handler = SIG_DFL;
    sigaction(number, &none, nullptr);  // the access is tried again, and ends the process
  }
}

}  // namespace

void tell_of_overruns() {
  if (installed.exchange(true)) return;
  sigaction(SIGSEGV, nullptr, &earlier);
  struct sigaction action = {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigaction(SIGSEGV, &action, nullptr);
}

void* map_guarded(uint64_t size_bytes, bool shared, const char* what,
                  [[maybe_unused]] void* place) {
  const uint64_t bytes = pages_of(size_bytes);
  const int flags = MAP_ANONYMOUS | MAP_NORESERVE;
  void* around = MAP_FAILED;
#ifndef __SANITIZE_THREAD__  // which allows memory in places of its own choice only
  if (place != nullptr) {
    around = mmap(static_cast<char*>(place) - kPageBytes, bytes + 2 * kPageBytes, PROT_NONE,
                  flags | MAP_PRIVATE | MAP_FIXED_NOREPLACE, -1, 0);
  }
#endif
  if (around == MAP_FAILED) {
    around = mmap(nullptr, bytes + 2 * kPageBytes, PROT_NONE, flags | MAP_PRIVATE, -1, 0);
  }
  if (around == MAP_FAILED) return nullptr;
  char* const memory = static_cast<char*>(around) + kPageBytes;
  if (bytes != 0 && mmap(memory, bytes, PROT_READ | PROT_WRITE,
                         flags | MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0) ==
                        MAP_FAILED) {
    munmap(around, bytes + 2 * kPageBytes);
    return nullptr;
  }
  const auto begin = reinterpret_cast<uint64_t>(memory);
  enter(begin, begin + bytes, what);
  return memory;
}

void unmap_guarded(void* memory, uint64_t size_bytes) {
  leave(reinterpret_cast<uint64_t>(memory));
  munmap(static_cast<char*>(memory) - kPageBytes, pages_of(size_bytes) + 2 * kPageBytes);
}

}  // namespace auxin::checkpoint
