// SPDX-License-Identifier: Apache-2.0
#include "replication/stall_watch.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "libmeta_os/modules.h"
#include "replication/classification.h"
#include "replication/divergence.h"
#include "replication/futex.h"
#include "replication/numbered_entries.h"
#include "replication/replica.h"

namespace auxin::replication {
namespace {

constexpr uint64_t kPatienceNs = 3'000'000'000;     // of this process's own running time
constexpr uint64_t kLookAgainNs = 500'000'000;
constexpr int kLooks = 3;                           // that must find the same two threads
constexpr uint64_t kLongestStepNs = 20'000'000;     // more was the process not running
constexpr int kMostThreads = 1024;
constexpr size_t kStackWords = 512;

enum class Place {
  kMayGoOn,  // it runs, or waits for something that comes by itself
  kIdle,     // it waits for others, or sleeps
  kLock,     // in a futex of the base level
  kTurn,     // for its turn at an ordered lock
};

struct ThreadLook {
  int tid;
  Place place;
  uint64_t word;   // of kLock and kTurn: the futex
  uint64_t stack;  // stack pointer
};

Place place_of(long call, const unsigned long long (&argument)[6], bool inside_auxin) {
  switch (call) {
    case SYS_futex:
      if (!inside_auxin) return Place::kLock;
      // turns.cpp: each waits with the bit of its number.
      return (argument[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET &&
                     static_cast<uint32_t>(argument[5]) != FUTEX_BITSET_MATCH_ANY
                 ? Place::kTurn
                 : Place::kIdle;
    case SYS_poll:
    case SYS_ppoll:
    case SYS_select:
    case SYS_pselect6:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_pause:
    case SYS_rt_sigtimedwait:
    case SYS_rt_sigsuspend:
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
    case SYS_accept:
    case SYS_accept4:
      return Place::kIdle;
    default:
      return inside_auxin ? Place::kIdle : Place::kMayGoOn;
  }
}

// False: the thread has ended.
bool look_at_thread(int tid, ThreadLook* thread) {
  char path[48];
  snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path),
                              O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char text[256];
  const long size = raw_syscall(SYS_read, fd, reinterpret_cast<long>(text), sizeof text - 1);
  raw_syscall(SYS_close, fd);
  if (size <= 0) return false;
  text[size] = '\0';
  // "number argument×6 sp pc", or "running"
  unsigned long long argument[6], stack, counter;
  long number;
  if (sscanf(text, "%ld %llx %llx %llx %llx %llx %llx %llx %llx", &number, &argument[0],
             &argument[1], &argument[2], &argument[3], &argument[4], &argument[5], &stack,
             &counter) != 9) {
    *thread = {tid, Place::kMayGoOn, 0, 0};
    return true;
  }
  const os::Module* own = os::module_of(reinterpret_cast<const void*>(&watch_for_stall));
  const bool inside_auxin = own != nullptr && counter >= own->begin && counter < own->end;
  *thread = {tid, place_of(number, argument, inside_auxin), argument[0], stack};
  return true;
}

// Memory that may be gone at any moment. False: it is.
bool read_memory(uint64_t address, void* to, size_t size_bytes) {
  iovec local{to, size_bytes}, remote{reinterpret_cast<void*>(address), size_bytes};
  return raw_syscall(SYS_process_vm_readv, replica->pid(), reinterpret_cast<long>(&local), 1,
                     reinterpret_cast<long>(&remote), 1, 0) == static_cast<long>(size_bytes);
}

// Who holds the lock that somebody waits for at this word: glibc keeps the thread beside it, in a
// mutex and, for a writer, in a rwlock, which has two words to wait at.
bool held_by(uint64_t word, int tid) {
  for (const uint64_t offset : {8, 16, 12}) {
    int32_t owner = 0;
    if (read_memory(word + offset, &owner, sizeof owner) && owner == tid) return true;
  }
  return false;
}

// The module from which the thread came to its lock: the first on its stack that is not in between.
const char* module_on_stack(const ThreadLook& thread) {
  static uint64_t words[kStackWords];
  size_t count = kStackWords;
  while (count > 8 && !read_memory(thread.stack, words, count * sizeof *words)) count /= 2;
  for (size_t index = 0; index < count && count > 8; ++index) {
    const os::Module* module = os::module_of(reinterpret_cast<const void*>(words[index]));
    if (module == nullptr || strncmp(module->name, "libauxin", 8) == 0) continue;
    if (map_classification().kind_of(module->name) != ModuleKind::kConduit) return module->name;
  }
  return "the server";
}

ThreadLook threads[kMostThreads];
int thread_count;
bool somebody_may_go_on;

// A thread that waits for a lock, and the lock's holder, that waits for its turn. -1: none.
struct OpenPair {
  int blocked = -1, holder = -1;  // tids
  const char* module = "";
  bool operator==(const OpenPair& other) const {
    return blocked == other.blocked && holder == other.holder;
  }
};

OpenPair find_open_pair() {
  thread_count = 0;
  somebody_may_go_on = false;
  for_each_numbered_entry("/proc/self/task", [](int tid) {
    ThreadLook& look = threads[thread_count];
    if (tid == static_cast<int>(raw_syscall(SYS_gettid)) || !look_at_thread(tid, &look)) return;
    if (look.place == Place::kMayGoOn || thread_count + 1 == kMostThreads) {
      somebody_may_go_on = true;
    } else if (look.place != Place::kIdle) {
      ++thread_count;
    }
  });
  if (somebody_may_go_on) return {};
  for (int blocked = 0; blocked < thread_count; ++blocked) {
    if (threads[blocked].place != Place::kLock) continue;
    for (int holder = 0; holder < thread_count; ++holder) {
      if (threads[holder].place != Place::kTurn) continue;
      if (held_by(threads[blocked].word, threads[holder].tid))
        return {threads[blocked].tid, threads[holder].tid, module_on_stack(threads[blocked])};
    }
  }
  return {};
}

}  // namespace

void watch_for_stall(uint64_t low, bool behind) {
  static uint64_t last_low = 0, last_ns = 0, still_ns = 0;
  static OpenPair last_pair;
  static int looks = 0;
  if (low != last_low || !behind) {
    last_low = low;
    still_ns = 0;
    last_ns = 0;
    looks = 0;
    return;
  }
  const uint64_t now_ns = monotonic_ns();
  const uint64_t step_ns = last_ns != 0 ? now_ns - last_ns : 0;
  last_ns = now_ns;
  still_ns += step_ns < kLongestStepNs ? step_ns : kLongestStepNs;
  if (still_ns < kPatienceNs) return;
  still_ns -= kLookAgainNs;
  const OpenPair pair = find_open_pair();
  looks = pair.holder >= 0 && pair == last_pair ? looks + 1 : 1;
  last_pair = pair;
  if (pair.holder < 0 || looks < kLooks) return;
  char note[240];
  snprintf(note, sizeof note,
           "a lock that is not ordered, needed in %.60s, is held while a thread waits for its turn "
           "at one that is: followers can stall; `auxin verify` names the two sections",
           pair.module);
  note_unsupported(note);
  diverge("it can't go on at log entry %llu: a thread waits in %.60s for a lock that is not "
          "ordered, whose holder waits for its turn at one that is; the set of ordered locks is "
          "not closed, `auxin verify` names the two sections",
          static_cast<unsigned long long>(low), pair.module);
}

}  // namespace auxin::replication
