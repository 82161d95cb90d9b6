// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/thread_restart.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sys/rseq.h>
#include <time.h>

#include "checkpoint/process/thread_stop.h"
#include "libmeta_os/private_memory.h"
#include "libmeta_os/raw_syscall.h"

// A thread that begins at a saved context. Its own frame lies below the context's stack pointer,
// where the functions that the context had called stood.
extern "C" long auxin_start_thread(unsigned long flags, void* stack, int* clear_tid,
                                   uint64_t thread_pointer,
                                   const auxin::checkpoint::SavedContext* context);
asm(R"(
  .text
  .globl auxin_start_thread
  .hidden auxin_start_thread
  .type auxin_start_thread, @function
auxin_start_thread:
  .cfi_startproc
  mov %rdx, %r10
  mov %r8, %r9
  mov %rcx, %r8
  xor %edx, %edx
  mov $56, %eax
  syscall
  test %rax, %rax
  jz 1f
  ret
1:
  mov %r9, %rdi
  jmp auxin_continue_context
  .cfi_endproc
  .size auxin_start_thread, . - auxin_start_thread
)");

namespace auxin::checkpoint {
namespace {

using os::raw_syscall;

const ParkedThread* the_saver = nullptr;
RestorerNote* the_restorer = nullptr;
void (*owner_arrived)(ParkedThread&) = nullptr;
std::atomic<uint32_t> not_arrived{0};

// Apart from the records, which the next stop fills anew.
struct NumberedThread {
  uint64_t thread_pointer, clear_tid;
  int32_t libcs_number, tid;
};
NumberedThread* numbered = nullptr;  // [kMostNumbered]
std::atomic<uint32_t> numbered_count{0};
std::atomic_flag numbering = ATOMIC_FLAG_INIT;

constexpr uint32_t kMostNumbered = 2 * kMaxParkedThreads;
constexpr int32_t kHighestOfKernel = 1 << 22;  // PID_MAX_LIMIT

void note_number(const ParkedThread& thread) {
  const uint32_t at = numbered_count.load(std::memory_order_relaxed);
  numbered[at] = {thread.thread_pointer, thread.clear_tid, thread.libcs_number, thread.tid};
  numbered_count.store(at + 1, std::memory_order_release);
}

void note_numbers(const ParkedThread& saver) {
  if (numbered == nullptr)
    numbered = static_cast<NumberedThread*>(
        os::map_private(kMostNumbered * sizeof(NumberedThread)));
  numbered_count.store(0);
  if (numbered == nullptr) return;
  note_number(saver);
  for (uint32_t i = 0; i < parked_thread_count(); ++i)
    if (parked_thread(i).state.load() == ParkedThread::kParked) note_number(parked_thread(i));
}

void start(const ParkedThread& thread) {
  const long tid = auxin_start_thread(
      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
          CLONE_SETTLS | CLONE_CHILD_CLEARTID,
      reinterpret_cast<void*>(thread.context.rsp - 256),
      reinterpret_cast<int*>(thread.clear_tid), thread.thread_pointer, &thread.context);
  if (tid < 0) {
    const char text[] = "auxin: a restored process can't start its threads again\n";
    raw_syscall(SYS_write, 2, reinterpret_cast<long>(text), sizeof text - 1);
    raw_syscall(SYS_exit_group, 3);
  }
}

void register_restartable_sequences(const ParkedThread& self) {
  if (__rseq_size == 0) return;  // glibc was told not to
  auto* area = reinterpret_cast<struct rseq*>(self.thread_pointer +
                                              static_cast<uint64_t>(__rseq_offset));
  area->rseq_cs = 0;
  const long size = __rseq_size < 32 ? 32 : __rseq_size;
  raw_syscall(SYS_rseq, reinterpret_cast<long>(area), size, 0, RSEQ_SIG);
}

// Where and how it ran; what the new process may not have is left as it is there.
void read_scheduling(ParkedThread& self) {
  raw_syscall(SYS_sched_getaffinity, 0, sizeof self.processors,
              reinterpret_cast<long>(&self.processors));
  self.scheduling.size_bytes = sizeof self.scheduling;
  raw_syscall(SYS_sched_getattr, 0, reinterpret_cast<long>(&self.scheduling),
              sizeof self.scheduling, 0);
}

void put_scheduling_back(ParkedThread& self) {
  raw_syscall(SYS_sched_setaffinity, 0, sizeof self.processors,
              reinterpret_cast<long>(&self.processors));
  raw_syscall(SYS_sched_setattr, 0, reinterpret_cast<long>(&self.scheduling), 0);
}

}  // namespace

void describe_own_thread(ParkedThread& self) {
  self.tid = static_cast<int32_t>(raw_syscall(SYS_gettid));
  self.is_main = self.tid == static_cast<int32_t>(raw_syscall(SYS_getpid)) ? 1 : 0;
  raw_syscall(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */,
              reinterpret_cast<long>(&self.thread_pointer));
  raw_syscall(SYS_get_robust_list, 0, reinterpret_cast<long>(&self.robust_list),
              reinterpret_cast<long>(&self.robust_list_size_bytes));
  raw_syscall(SYS_prctl, 40 /* PR_GET_TID_ADDRESS */, reinterpret_cast<long>(&self.clear_tid));
  if (self.clear_tid != 0) self.libcs_number = *reinterpret_cast<const int32_t*>(self.clear_tid);
  raw_syscall(SYS_prctl, 16 /* PR_GET_NAME */, reinterpret_cast<long>(self.name));
  read_scheduling(self);
}

void set_restart(const ParkedThread* saver, RestorerNote* restorer,
                 void (*arrived)(ParkedThread&)) {
  the_saver = saver;
  the_restorer = restorer;
  owner_arrived = arrived;
}

void arrive_in_new_process(ParkedThread& self) {
  self.tid = static_cast<int32_t>(raw_syscall(SYS_gettid));
  raw_syscall(SYS_set_tid_address, static_cast<long>(self.clear_tid));
  raw_syscall(SYS_set_robust_list, static_cast<long>(self.robust_list),
              static_cast<long>(self.robust_list_size_bytes));
  register_restartable_sequences(self);
  raw_syscall(SYS_prctl, 15 /* PR_SET_NAME */, reinterpret_cast<long>(self.name));
  if (owner_arrived != nullptr) owner_arrived(self);
  if (self.is_main != 0) {
    raw_syscall(SYS_munmap, static_cast<long>(the_restorer->begin),
                static_cast<long>(the_restorer->end - the_restorer->begin));
  }
  if (&self == the_saver) return;
  if (self.is_main != 0) start(*the_saver);
  // Who starts others runs where the restorer has chosen to, and so they begin there.
  put_scheduling_back(self);
  if (self.is_main != 0) return;
  if (not_arrived.fetch_sub(1, std::memory_order_acq_rel) == 1)
    raw_syscall(SYS_futex, reinterpret_cast<long>(&not_arrived), FUTEX_WAKE_PRIVATE, 1);
}

void restart_threads(ParkedThread& saver) {
  arrive_in_new_process(saver);
  const auto to_start = [](const ParkedThread& thread) {
    return thread.is_main == 0 && thread.state.load() == ParkedThread::kParked;
  };
  uint32_t others = 0;
  for (uint32_t i = 0; i < parked_thread_count(); ++i) others += to_start(parked_thread(i));
  not_arrived.store(others, std::memory_order_release);
  for (uint32_t i = 0; i < parked_thread_count(); ++i)
    if (to_start(parked_thread(i))) start(parked_thread(i));
  for (uint32_t left; (left = not_arrived.load(std::memory_order_acquire)) != 0;)
    raw_syscall(SYS_futex, reinterpret_cast<long>(&not_arrived), FUTEX_WAIT_PRIVATE, left, 0);
  put_scheduling_back(saver);
  note_numbers(saver);
}

int32_t number_of_thread(uint64_t thread_pointer) {
  const uint32_t count = numbered_count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; ++i) {
    const NumberedThread& thread = numbered[i];
    // A later thread may have the same place; its number is another.
    if (thread.thread_pointer == thread_pointer && thread.clear_tid != 0 &&
        *reinterpret_cast<const int32_t*>(thread.clear_tid) == thread.libcs_number)
      return thread.tid;
  }
  return 0;
}

bool numbers_are_at_rest() { return !numbering.test(); }

void take_number_of_its_own() {
  const auto tid = static_cast<int32_t>(raw_syscall(SYS_gettid));
  while (numbering.test_and_set(std::memory_order_acquire)) raw_syscall(SYS_sched_yield);
  const uint32_t count = numbered_count.load(std::memory_order_relaxed);
  bool taken = false;
  int32_t highest = kHighestOfKernel;
  for (uint32_t i = 0; i < count; ++i) {
    taken = taken || numbered[i].libcs_number == tid;
    if (numbered[i].libcs_number > highest) highest = numbered[i].libcs_number;
  }
  if (taken && count < kMostNumbered) {
    NumberedThread& own = numbered[count];
    own = {0, 0, highest + 1, tid};
    raw_syscall(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */,
                reinterpret_cast<long>(&own.thread_pointer));
    raw_syscall(SYS_prctl, 40 /* PR_GET_TID_ADDRESS */, reinterpret_cast<long>(&own.clear_tid));
    // Whoever finds the new number finds the entry.
    numbered_count.store(count + 1, std::memory_order_release);
    std::atomic_ref(*reinterpret_cast<int32_t*>(own.clear_tid)).store(own.libcs_number);
  }
  numbering.clear(std::memory_order_release);
}

const ParkedThread* find_main_thread(const ParkedThread& saver) {
  if (saver.is_main != 0) return &saver;
  for (uint32_t i = 0; i < parked_thread_count(); ++i) {
    const ParkedThread& thread = parked_thread(i);
    if (thread.is_main != 0 && thread.state.load() == ParkedThread::kParked) return &thread;
  }
  return nullptr;
}

}  // namespace auxin::checkpoint
