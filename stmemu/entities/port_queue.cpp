// SPDX-License-Identifier: Apache-2.0
#include "stmemu/entities/port_queue.h"

#include <algorithm>

#include "stmemu/entities/signal.h"

namespace auxin::stm {
namespace {

// How long a receiver sleeps before it looks whether a sender has died after its commit: from the
// first to the last, doubling.
constexpr uint64_t kFirstSleep_us = 500;
constexpr uint64_t kLongestSleep_us = 20'000;

std::string name_of_port(const PortRecord& port) {
  return port.name[0] != '\0' ? "port \"" + std::string(port.name) + "\": " : "a port: ";
}

// Whether the first message of the queue is there, as far as that can be told without a claim. What
// this transaction has sent itself is not there until it commits.
bool seems_filled(EntityAccess& access, const PortRecord& port) {
  PortHead head;
  PortNode node;
  return access.look(port.head, ObjectKind::kPort, kPortHeadType, &head) &&
         read_committed(access.memory(), head.node, ObjectKind::kPort, kPortNodeType, &node,
                        sizeof(node)) == Committed::kFound &&
         node.next != 0;
}

// A thread that died after its commit was certain may have left the queue as only recovery can see
// it: whoever claims what it had open recovers it.
void recover_dead(EntityAccess& access, const PortRecord& port) {
  Activation& activation = access.activation();
  if (activation.open(port.head, OpenFor::kReading, Wait::none()) != Status::kOk) return;
  PortHead head;
  access.check(activation.read(port.head, 0, &head, sizeof(head)));
  access.check(activation.close(port.head));
  if (activation.open(head.node, OpenFor::kReading, Wait::none()) == Status::kOk) {
    access.check(activation.close(head.node));
    activation.forget(head.node);
  }
  activation.forget(port.head);
}

// Claims the head and takes the first node out. False: there is none, and nothing is claimed that
// was not before.
bool try_take(EntityAccess& access, const PortRecord& port, Wait wait, uint64_t* address) {
  Activation& activation = access.activation();
  const Status status = activation.open(port.head, OpenFor::kReading, wait);
  if (status == Status::kConflict) return false;
  access.check(status);
  PortHead head;
  access.check(activation.read(port.head, 0, &head, sizeof(head)));
  access.check(activation.close(port.head));
  // With the head claimed, its node stays where it is.
  PortNode node;
  if (read_committed(access.memory(), head.node, ObjectKind::kPort, kPortNodeType, &node,
                     sizeof(node)) != Committed::kFound ||
      node.next == 0) {
    activation.forget(port.head);
    return false;
  }
  node = access.read<PortNode>(head.node);
  access.free(head.node);
  access.write(port.head, PortHead{node.next, head.received + 1});
  *address = node.message;
  return true;
}

}  // namespace

void make_queue(EntityAccess& access, PortRecord* port) {
  const uint64_t node = access.make(ObjectKind::kPort, kPortNodeType, PortNode{});
  port->tail = access.make(ObjectKind::kPort, kPortTailType, PortTail{node, 0});
  port->head = access.make(ObjectKind::kPort, kPortHeadType, PortHead{node, 0});
}

void append(EntityAccess& access, const PortRecord& port, const void* bytes, uint64_t size_bytes,
            const std::vector<MessagePort>& ports, uint64_t remote) {
  const PortTail tail = access.read<PortTail>(port.tail);
  PortHead head;
  if (!access.look(port.head, ObjectKind::kPort, kPortHeadType, &head)) {
    detail::raise(Status::kNoRight, name_of_port(port) + "it is no more");
  }
  if (tail.sent - head.received >= port.longest_queue) {
    detail::raise(Status::kFull, name_of_port(port) + std::to_string(port.longest_queue) +
                                     " messages wait in it, and no more may");
  }
  // What is made first is given back if there is no room for the rest: the program may go on.
  const MessageHead message = {size_bytes, remote, static_cast<uint32_t>(ports.size()), 0};
  const uint64_t ports_bytes = ports.size() * sizeof(MessagePort);
  const uint64_t made = access.make_empty(ObjectKind::kMessage, kMessageType,
                                          sizeof(message) + ports_bytes + size_bytes);
  uint64_t next = 0;
  try {
    next = access.make_empty(ObjectKind::kPort, kPortNodeType, sizeof(PortNode));
  } catch (const Failure&) {
    if (access.activation().active()) access.free(made);
    throw;
  }
  access.write(made, message);
  if (ports_bytes > 0) access.write_bytes(made, sizeof(message), ports.data(), ports_bytes);
  if (size_bytes > 0) access.write_bytes(made, sizeof(message) + ports_bytes, bytes, size_bytes);
  access.write(tail.node, PortNode{next, made});
  access.write(port.tail, PortTail{next, tail.sent + 1});
  access.activation().signal_at_end(signal_of(port.head));
}

QueuedMessage read_message(EntityAccess& access, uint64_t address) {
  QueuedMessage message;
  const MessageHead head = access.read<MessageHead>(address);
  message.remote = head.remote;
  message.ports.resize(head.ports);
  message.bytes.resize(head.size_bytes);
  const uint64_t ports_bytes = head.ports * sizeof(MessagePort);
  if (ports_bytes > 0) {
    access.read_bytes(address, sizeof(head), message.ports.data(), ports_bytes);
  }
  if (head.size_bytes > 0) {
    access.read_bytes(address, sizeof(head) + ports_bytes, message.bytes.data(), head.size_bytes);
  }
  return message;
}

bool take_first(EntityAccess& access, const PortRecord& port, uint64_t wait_us,
                QueuedMessage* message) {
  uint64_t address = 0;
  if (!(seems_filled(access, port) && try_take(access, port, Wait::none(), &address))) {
    const uint64_t start_us = monotonic_us();
    uint64_t sleep_us = kFirstSleep_us;
    SignalWaiter waiter(access.memory(), signal_of(port.head));
    for (;;) {
      waiter.look();
      PortRecord now;
      if (!access.look(record_address(port.reference), ObjectKind::kPort, kPortRecordType, &now) ||
          now.reference != port.reference || now.receiver != port.receiver) {
        detail::raise(Status::kNoRight, name_of_port(port) + "it is no more, or another's");
      }
      if (seems_filled(access, port) && try_take(access, port, Wait::none(), &address)) break;
      const uint64_t waited_us = monotonic_us() - start_us;
      if (waited_us >= wait_us) return false;
      waiter.sleep(std::min(sleep_us, wait_us - waited_us));
      sleep_us = std::min(2 * sleep_us, kLongestSleep_us);
      recover_dead(access, port);
    }
  }
  *message = read_message(access, address);
  access.free(address);
  access.activation().signal_at_end(signal_of(port.head));
  return true;
}

void count_messages(EntityAccess& access, const PortRecord& port, uint64_t* sent,
                    uint64_t* received) {
  PortTail tail = {};
  PortHead head = {};
  access.look(port.tail, ObjectKind::kPort, kPortTailType, &tail);
  access.look(port.head, ObjectKind::kPort, kPortHeadType, &head);
  *sent = tail.sent;
  *received = head.received;
}

}  // namespace auxin::stm
