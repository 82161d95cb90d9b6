// SPDX-License-Identifier: Apache-2.0
//
// What the entries of a group's stable log mean. FORMAT.md has the table with one example of each.
//
// Decisions belong to an activity: (activity, step) is unique. Events belong to a connection or a
// listener. `site` is the module-relative return address of the call, kept where there is no
// payload (LogEntry::payload_offset); a follower checks it.
#pragma once

#include <cstdint>

#include "stmemu/log/stable_log.h"

namespace auxin::replication {

enum Kind : uint8_t {
  kHoleEntry = stm::kHole,
  kEpoch = 1,       // object epoch, number replica id: a leadership begins
  // Events of descriptors.
  kListener = 2,    // decision: object listener number, payload its address as bound
  kAccept = 3,      // object connection, number listener << 32 | slot, payload the peer's address
  kReceive = 4,     // object connection, number stream offset, payload the bytes
  kReceiveEnd = 5,  // object connection, number errno or 0 for end of file
  kClose = 6,       // object connection: the application closed it; number stream offset, call 1
                    //   if the Send before it had ended
  kShutdown = 7,    // object connection, number how
  // Decisions.
  kSend = 8,        // object connection, number stream offset, payload the bytes, call replies
                    //   completed by it, flags kSendNonBlocking; the outcome is the call's result
  kAcquire = 9,     // object contention point, number acquisition, call AcquireForm, flags result
  kValue = 10,      // object, number: the value; call ValueForm; payload for longer ones
  kConnect = 11,    // object connection (0: none), number slot, flags errno; payload the peer's
                    //   address
  kExit = 12,       // number status: the server ends in an orderly way
};

inline constexpr uint8_t kSendNonBlocking = 1;
// Higher bits of a Send's or a Close's flags: the errno with which the connection's Send before it
// ended; 0: that one sent what lies between the two offsets.
inline constexpr int kPreviousErrorShift = 1;
inline constexpr uint32_t kOutcomeError = 0x80000000u;  // outcome = kOutcomeError | errno
inline constexpr uint32_t kOutcomeBias = 1;             // outcome = bytes + 1

enum class AcquireForm : uint16_t {
  kMutex = 1, kMutexTry, kMutexTimed, kCondWake, kRead, kReadTry, kReadTimed, kWrite, kWriteTry,
  kWriteTimed, kSemaphore, kSemaphoreTry, kSemaphoreTimed, kSpin, kSpinTry, kBarrier, kOnce,
  kJoinPoint, kCondSpurious, kConnectionChoice
};

enum class ValueForm : uint16_t {
  kClock = 1, kTimeOfDay, kTime, kRandomBytes, kRandom, kRand, kRandomDevice, kSleep, kSemValue,
  kLookUp, kSignal, kPolled, kConnected, kReceivable
};

}  // namespace auxin::replication
