// SPDX-License-Identifier: Apache-2.0
//
// What an isolated client and the controller share: a session for each process that has the memory
// attached, in shared memory that the client makes and hands over a socket (handshake.h).
//
//   session := header page, channels, view
//
// The view is as large as a bank; an open object's working copy lies in it at the object's address.
// Each thread that runs transactions has a channel: one request at a time, answered in place. The
// controller trusts nothing in it: every length, address and version is judged again.
//
// A request is complete when its number has been stored, last; so is a reply. A request that was
// under way when the controller died is found by the next one, which knows from the descriptor's
// serial whether it was carried out (controller.h).
//
// Client and controller run on two processors, so what a commit takes is mostly lines on their way
// from one to the other. A request is one line and its reply one, each far enough from the other's
// that neither processor fetches it along; what seldom changes stands apart; and hints, which
// nobody waits for, tell the controller what to fetch before it is asked.
#pragma once

#include <atomic>
#include <cstdint>

#include "stmemu/memory/format.h"

namespace auxin::stm {

inline constexpr uint32_t kChannels = 64;  // of one process: 63 threads, and one for settling
// Not a power of two: the lines of all channels that the controller looks at fit its cache.
inline constexpr uint64_t kChannelBytes = 64 * 1024 + 128;
inline constexpr uint32_t kSessionVersion = 3;
inline constexpr uint64_t kApart = 128;                 // adjacent lines come in pairs

enum class Request : uint32_t {
  kNone = 0,
  kOpen,       // a channel is taken: give it a descriptor
  kCommit,     // the changes are complete: commit them
  kMore,       // the changes so far; the rest follows
  kMakeRun,    // first.header: pages, first.version: realm, first.size: use | size class << 8
  kReclaim,    // give back runs without live objects; result: whether there was one
  kMend,       // first.header: an object that does not check: repair it
};

// One object that a commit changes.
struct Change {
  uint64_t header;         // its header's address
  uint64_t version;        // before
  uint64_t size_and_kind;  // after (ObjectHeader); a free one: state kFree
  uint64_t type_and_life;
};
static_assert(sizeof(Change) == 32);

// What the client is doing with an object, for the controller to fetch its lines: a header's
// address, or, once the contents are written, that and kWritten. Believed in nothing.
inline constexpr uint64_t kHints = 7;
inline constexpr uint64_t kWritten = 1;
struct Hints {
  std::atomic<uint64_t> count;          // ever given
  std::atomic<uint64_t> last[kHints];   // by count
};
static_assert(sizeof(Hints) == 64);

// Smaller objects are not worth the hint's own line.
inline constexpr uint64_t kHintedBytes = 512;

struct Channel {
  // One line, written by the client; a commit of one object needs no other.
  alignas(kApart) std::atomic<uint64_t> request_number;
  uint16_t request;        // Request
  uint16_t changes;        // in `first` and `rest`
  uint32_t changes_before; // in the parts of this commit that were sent before
  Change first;
  uint64_t activity;       // of the transaction: whose claims the objects are under
  uint64_t serial;         // of the transaction, on its descriptor

  alignas(kApart) std::atomic<uint64_t> reply_number;  // by the controller
  uint64_t result;
  uint32_t status;                                 // Status
  std::atomic<uint32_t> client_sleeps;             // on the low half of reply_number

  alignas(kApart) uint64_t descriptor;  // of the transaction
  std::atomic<uint32_t> taken;          // a thread uses the channel
  uint32_t context;                     // of that thread

  alignas(kApart) Hints hints;          // by the client

  alignas(kApart) Change rest[(64 * 1024 - 4 * kApart) / sizeof(Change)];
};
static_assert(sizeof(Channel) <= kChannelBytes && kChannelBytes % kApart == 0);
static_assert(kChannels * kChannelBytes % kPageBytes == 0);
static_assert(offsetof(Channel, serial) == 56 && offsetof(Channel, reply_number) == kApart);
static_assert(offsetof(Channel, descriptor) == 2 * kApart);
static_assert(offsetof(Channel, hints) == 3 * kApart && offsetof(Channel, rest) == 4 * kApart);

inline constexpr uint64_t kMostChanges = 1 + sizeof(Channel::rest) / sizeof(Change);

struct SessionHeader {
  uint32_t version;
  uint32_t pid;
  uint64_t bank_bytes;
};

inline constexpr uint64_t kChannelsOffset = kPageBytes;
inline constexpr uint64_t kViewOffset = kChannelsOffset + kChannels * kChannelBytes;
inline constexpr uint64_t session_bytes(uint64_t bank_bytes) { return kViewOffset + bank_bytes; }

inline constexpr uint64_t kHelloMagic = 0x4f4c4c45484d5453;

// The first words on the socket, with the session's descriptor; and the answer.
struct Hello {
  uint64_t magic;
  uint32_t version;
  uint32_t pid;
  uint64_t bank_bytes;
  uint64_t seed;        // of the memory that the client has mapped
};
struct Welcome {
  uint64_t magic;
  uint32_t accepted;
  uint32_t pid;         // the controller's
};

}  // namespace auxin::stm
