// SPDX-License-Identifier: Apache-2.0
#include "call_log.h"

#include <sys/mman.h>
#include <time.h>

#include <cerrno>
#include <new>
#include <system_error>

namespace bank {

namespace {
constexpr size_t kAlignment = 64;
constexpr size_t aligned(size_t size_bytes) {
  return (size_bytes + kAlignment - 1) / kAlignment * kAlignment;
}
}  // namespace

const char* name_of(Operation operation) {
  static const char* const kNames[] = {"deposit", "deposit_shared", "withdraw", "transfer",
                                       "order",   "note",           "open",     "reopen",
                                       "balance", "entries",        "echo",     "ping"};
  return kNames[static_cast<unsigned>(operation)];
}

CallLog::CallLog(unsigned client_count, unsigned thread_count, uint64_t calls_per_thread)
    : client_count_(client_count), thread_count_(thread_count) {
  const size_t clients_at = aligned(sizeof(Control));
  const size_t threads_at = clients_at + aligned(client_count * sizeof(ClientLog));
  const size_t records_at = threads_at + aligned(thread_count * sizeof(ThreadLog));
  size_bytes_ = records_at + thread_count * calls_per_thread * sizeof(CallRecord);
  memory_ = mmap(nullptr, size_bytes_, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory_ == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "memory for the call log");
  }
  auto* const bytes = static_cast<unsigned char*>(memory_);
  control_ = new (bytes) Control();
  clients_ = new (bytes + clients_at) ClientLog[client_count]();
  threads_ = new (bytes + threads_at) ThreadLog[thread_count]();
  auto* const records = reinterpret_cast<CallRecord*>(bytes + records_at);
  for (unsigned i = 0; i < thread_count; ++i) {
    threads_[i].records = records + i * calls_per_thread;
    threads_[i].record_capacity = calls_per_thread;
  }
}

CallLog::~CallLog() { munmap(memory_, size_bytes_); }

uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace bank
