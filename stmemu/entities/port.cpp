// SPDX-License-Identifier: Apache-2.0
//
// class StablePort of <auxin/stm_entities.h> (paper 001, §3.2.3).
#include "auxin/stm_entities.h"
#include "stmemu/interface/environment.h"
#include "stmemu/entities/link.h"
#include "stmemu/entities/port_queue.h"
#include "stmemu/entities/rights.h"

namespace auxin::stm {
namespace {

StablePort port_at(const char* bytes, uint32_t offset) {
  StablePort port;
  memcpy(static_cast<void*>(&port), bytes + offset, sizeof(port));
  return port;
}

// Whether the sender has what it wants to send; receive rights are given away.
std::vector<MessagePort> pack_rights(EntityAccess& access, const char* bytes, uint64_t size_bytes,
                                     const std::vector<PortInMessage>& ports) {
  if (ports.size() > kMostPortsInAMessage) {
    detail::raise(Status::kTooLarge, "a message carries 1024 rights, not more");
  }
  std::vector<MessagePort> packed;
  for (const PortInMessage& carried : ports) {
    if (size_bytes < sizeof(StablePort) || carried.offset > size_bytes - sizeof(StablePort)) {
      detail::raise(Status::kTooLarge, "a port in a message lies inside of it");
    }
    const uint64_t reference = port_at(bytes, carried.offset).raw();
    const PortRecord record = demand_port(access, reference);
    demand_right(access, record, carried.right);
    packed.push_back({reference, carried.offset, static_cast<uint32_t>(carried.right)});
  }
  for (const MessagePort& carried : packed) {
    if (carried.right != static_cast<uint32_t>(Right::kReceive)) continue;
    give_receive_right_away(access, demand_port(access, carried.port));
  }
  return packed;
}

}  // namespace

StablePort StablePort::create(const std::string& name, const NewPort& how) {
  EntityAccess access("a stable port can't be made");
  PortRecord port = {};
  port.longest_queue = how.longest_queue;
  port.receiver = current_holder(access.core());
  const uint64_t address = access.make_empty(ObjectKind::kPort, kPortRecordType, sizeof(port));
  port.reference = new_reference(address);
  name_entity(access, ObjectKind::kPort, name, port.reference);
  memcpy(port.name, name.data(), name.size());
  make_queue(access, &port);
  access.write(address, port);
  return of_raw(port.reference);
}

StablePort StablePort::find(const std::string& name) {
  return in_transaction("a stable port can't be looked up", [&](EntityAccess& access) {
    const uint64_t reference = find_entity(access, ObjectKind::kPort, name);
    PortRecord port;
    if (!look_at_port(access, reference, &port)) return StablePort();
    gain_right(access, current_holder(access.core()), reference, Right::kSend);
    return of_raw(reference);
  });
}

void StablePort::destroy() const {
  EntityAccess access("a stable port can't be removed");
  const PortRecord port = demand_port(access, reference_);
  // A proxy has nobody who receives from it; the node may remove it.
  if (port.link == 0 || current_holder(access.core()) != kTheNode) {
    demand_right(access, port, Right::kReceive);
  }
  remove_port(access, reference_);
}

void StablePort::send_bytes(const void* bytes, uint64_t size_bytes,
                            const std::vector<PortInMessage>& ports) const {
  EntityAccess access("a message can't be sent");
  const PortRecord port = demand_port(access, reference_);
  demand_right(access, port, Right::kSend);
  for (const PortInMessage& carried : ports) {
    if (port.link != 0 && carried.right == Right::kReceive) {
      detail::raise(Status::kNoRight, "a receive right stays in its memory");
    }
  }
  const std::vector<MessagePort> packed =
      pack_rights(access, static_cast<const char*>(bytes), size_bytes, ports);
  enqueue(access, port, bytes, size_bytes, packed);
}

bool StablePort::receive_bytes(std::vector<char>* bytes, std::vector<PortInMessage>* ports,
                               uint64_t wait_us) const {
  EntityAccess access("a message can't be received");
  const PortRecord port = demand_port(access, reference_);
  demand_right(access, port, Right::kReceive);
  QueuedMessage message;
  if (!take_first(access, port, wait_us, &message)) return false;
  if (ports != nullptr) ports->clear();
  for (const MessagePort& carried : message.ports) {
    const Right right = static_cast<Right>(carried.right);
    gain_right(access, current_holder(access.core()), carried.port, right);
    if (ports != nullptr) ports->push_back({carried.offset, right});
  }
  *bytes = std::move(message.bytes);
  return true;
}

PortReport StablePort::report() const {
  return in_transaction("a stable port can't be looked at", [&](EntityAccess& access) {
    const PortRecord port = demand_port(access, reference_);
    PortReport report = {port.name, port.longest_queue, 0, 0};
    count_messages(access, port, &report.sent, &report.received);
    return report;
  });
}

namespace detail {

void raise_wrong_size(uint64_t has_bytes, uint64_t wanted_bytes) {
  raise(Status::kRefused, "a message of " + std::to_string(has_bytes) + " bytes came where " +
                              std::to_string(wanted_bytes) + " were expected");
}

}  // namespace detail
}  // namespace auxin::stm
