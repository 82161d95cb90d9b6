// SPDX-License-Identifier: Apache-2.0
//
// The stable entities as they lie in the memory: objects of its own (ObjectKind), each of a type.
// FORMAT.md has every byte; a change here is one there.
//
// A port is a queue with two ends that never meet: the tail names an empty node at the end of the
// list, the head the node of the first message. To send is to fill the empty node and to append a
// new one; to receive is to take the first node, which nobody else needs any more. So a sender and
// the receiver touch the same object only while the queue is empty, when there is nothing to
// receive.
//
//   record ── tail ─────────────────────────────▼
//      └───── head ──▶ node ──▶ node ──▶ … ──▶ empty node
//                        └─ message └─ message
//
// The record does not change but for who has the receive right.
#pragma once

#include "stmemu/memory/realm.h"

namespace auxin::stm {

// Types within a kind.
inline constexpr uint32_t kPortRecordType = 1, kPortTailType = 2, kPortHeadType = 3,
                          kPortNodeType = 4, kLinkRecordType = 5, kLinkSentType = 6,
                          kLinkReceivedType = 7;
inline constexpr uint32_t kTaskRecordType = 1, kTaskRightsType = 2, kTaskLeaseType = 3;
inline constexpr uint32_t kMessageType = 1;

// Who has a port's receive right: a task's reference, or:
inline constexpr uint64_t kTheNode = 0;               // programs outside of any task
inline constexpr uint64_t kInAMessage = ~uint64_t{0};  // nobody, until it is received
inline constexpr uint64_t kALink = kInAMessage - 1;    // a message server

struct PortRecord {
  uint64_t reference;      // realm.h
  uint64_t tail, head;     // addresses
  uint64_t longest_queue;
  uint64_t receiver;
  uint64_t remote;         // a proxy: the port that it stands for, in the other memory; or 0
  uint64_t link;           // a proxy: address of the link to that memory; or 0
  uint64_t reserved;
  char name[kLongestEntityName + 1];
};
static_assert(sizeof(PortRecord) == 112 && offsetof(PortRecord, name) == 64);

struct PortTail {
  uint64_t node;  // the empty one
  uint64_t sent;
};
struct PortHead {
  uint64_t node;  // of the first message; the empty one if there is none
  uint64_t received;
};
struct PortNode {
  uint64_t next;     // 0: the empty one
  uint64_t message;  // address
};
static_assert(sizeof(PortTail) == 16 && sizeof(PortHead) == 16 && sizeof(PortNode) == 16);

// A message: head, ports, bytes.
struct MessageHead {
  uint64_t size_bytes;
  uint64_t remote;        // on its way to another memory: the port there; or 0
  uint32_t ports;
  uint32_t reserved;
};
struct MessagePort {
  uint64_t port;
  uint32_t offset;  // in the bytes
  uint32_t right;   // Right
};
static_assert(sizeof(MessageHead) == 24 && sizeof(MessagePort) == 16);

inline constexpr uint32_t kMostPortsInAMessage = 1024;

// --- links to other memories ---
//
// A proxy is a port record without a queue: its messages stand in its link's, each with the proxy's
// reference. What the two directions change is apart.

// The space of links' names (catalogue.h).
inline constexpr auto kLinkNames = static_cast<ObjectKind>(128);

struct LinkRecord {
  uint64_t reference;
  uint64_t token;      // random: how the other side knows this memory again
  uint64_t out;        // reference of the port whose queue is the link's
  uint64_t sent;       // address of LinkSent
  uint64_t received;   // address of LinkReceived
  uint64_t reserved[3];
  char name[kLongestEntityName + 1];
};
static_assert(sizeof(LinkRecord) == 112);

struct LinkSent {
  uint64_t sequence;    // of the last message that the other side is known to have
  uint64_t peer_token;  // 0: never met
};
struct LinkReceived {
  uint64_t sequence;    // of the last message that was delivered
  uint64_t peer_token;
  uint64_t dropped;
  uint64_t reserved;
};

// --- tasks ---

enum class TaskState : uint64_t { kReady = 0, kFinished = 1 };

struct TaskRecord {
  uint64_t reference;
  uint64_t memory_object;  // reference, or 0
  uint64_t rights;         // address
  uint64_t lease;          // address: who has it open runs the task
  uint64_t starts;
  uint64_t state;          // TaskState
  uint64_t pid;            // of the last start
  uint64_t reserved;
  char name[kLongestEntityName + 1];
  char entry[kLongestEntityName + 1];
};
static_assert(sizeof(TaskRecord) == 160 && offsetof(TaskRecord, name) == 64);

struct TaskLease {
  uint64_t task;
};

// What a task may do: a head and room for `capacity` rights, of which the first `count` are there.
struct TaskRights {
  uint64_t count;
  uint64_t capacity;
};
struct TaskRight {
  uint64_t port;
  uint64_t rights;  // bits: Right
};
static_assert(sizeof(TaskRights) == 16 && sizeof(TaskRight) == 16);

inline constexpr uint64_t kFirstRights = 15;

}  // namespace auxin::stm
