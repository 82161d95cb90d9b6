// SPDX-License-Identifier: Apache-2.0
//
// What the clients did and what they were told: memory that the clients (forked processes) fill
// and their parent reads once they have ended, even if one of them crashed.
//
// Every call has a number in its thread, and every amount that it moves is unique, made from
// thread and number; so each entry in a statement names the call that it comes from.
//
// Thread safety: a ThreadLog has one writer; the parent reads `call_count`, `error_count` and
// `failed` at any time, the rest after the writer's process has ended.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "latency_histogram.h"

namespace bank {

constexpr unsigned kMostThreads = 4095;
constexpr unsigned kCallNumberBits = 24;
constexpr uint64_t kMostCallsPerThread = uint64_t{1} << kCallNumberBits;
constexpr int64_t kInitialFunds = int64_t{1} << 48;  // of a shared account, its first entry

struct CallName {
  unsigned thread;
  uint32_t number;
};
// At least 2^24, so never mistaken for nothing.
constexpr int64_t amount_of(CallName call) {
  return static_cast<int64_t>(uint64_t{call.thread} + 1) << kCallNumberBits | call.number;
}
constexpr CallName call_of(int64_t amount) {
  const auto magnitude = static_cast<uint64_t>(amount < 0 ? -amount : amount);
  return {static_cast<unsigned>((magnitude >> kCallNumberBits) - 1),
          static_cast<uint32_t>(magnitude & (kMostCallsPerThread - 1))};
}

enum class Operation : uint8_t {
  kDeposit, kDepositShared, kWithdraw, kTransfer, kOrder, kNote, kOpen, kReopen, kBalance, kEntries,
  kEcho, kPing
};
const char* name_of(Operation operation);

enum class Outcome : uint8_t {
  kInFlight,      // no reply was seen before the client's end
  kAcknowledged,
  kRefused,       // a user exception, as it had to be: nothing may have happened
  kNotCompleted,  // a system exception that promises that nothing happened
  kMaybe,         // a system exception that leaves it open
  kCompleted      // a system exception after the operation was done
};

struct CallRecord {
  uint64_t start_ns;  // CLOCK_MONOTONIC
  uint64_t reply_ns;
  int64_t value;      // balance that was answered (deposit, withdraw)
  Operation operation;
  Outcome outcome;
  uint8_t from_shared;  // indices of shared accounts
  uint8_t to_shared;
  uint32_t reserved;
};
static_assert(sizeof(CallRecord) == 32);

struct ErrorRecord {
  uint64_t time_ns;
  uint32_t call_number;
  Operation operation;
  char text[99];
};

struct ThreadLog {
  static constexpr unsigned kKeptErrorCount = 32;

  std::atomic<uint64_t> call_count;   // records begun
  std::atomic<uint64_t> error_count;
  uint64_t wrong_answer_count;        // replies whose content was wrong; counted as errors too
  uint64_t late_start_count;          // paced calls that began over 1 ms after their time
  LatencyHistogram latency;           // from the call to its reply, acknowledged calls only
  LatencyHistogram response;          // from when it should have begun, if paced
  ErrorRecord errors[kKeptErrorCount];
  CallRecord* records;                // set by the parent; the same address in all processes
  uint64_t record_capacity;
};

struct ClientLog {
  static constexpr unsigned kKeptConnectionCount = 8;
  static constexpr size_t kConnectionTextSize = 64;
  struct Connections {
    unsigned count;
    char text[kKeptConnectionCount][kConnectionTextSize];  // "127.0.0.1:4711-127.0.0.1:80"
  };

  std::atomic<unsigned> connect_count;  // connections the ORB opened, from its own interceptor
  std::atomic<bool> finished;
  Connections before, after;
  char failure[160];                    // why it could not run; empty if it could
};

// The anonymous shared mapping with all of it; zeroed pages, so everything starts from nothing.
class CallLog {
 public:
  // `calls_per_thread` is the room for records; pages that are not used cost nothing.
  CallLog(unsigned client_count, unsigned thread_count, uint64_t calls_per_thread);
  ~CallLog();
  CallLog(const CallLog&) = delete;
  CallLog& operator=(const CallLog&) = delete;

  ClientLog& client(unsigned index) { return clients_[index]; }
  ThreadLog& thread(unsigned index) { return threads_[index]; }
  unsigned client_count() const { return client_count_; }
  unsigned thread_count() const { return thread_count_; }

  // Set by the parent just before it lets the clients go.
  struct Control {
    std::atomic<uint64_t> begin_ns;
    std::atomic<uint64_t> end_ns;  // 0: no end by time
    std::atomic<bool> stop;
  };
  Control& control() { return *control_; }

 private:
  unsigned client_count_;
  unsigned thread_count_;
  size_t size_bytes_;
  void* memory_;
  Control* control_;
  ClientLog* clients_;
  ThreadLog* threads_;
};

uint64_t monotonic_ns();

}  // namespace bank
