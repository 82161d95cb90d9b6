// SPDX-License-Identifier: Apache-2.0
#include "stmemu/entities/link.h"

#include "auxin/stm_message_server.h"

namespace auxin::stm {
namespace {

constexpr uint64_t kLongestLinkQueue = 1'000'000;
constexpr size_t kMostFrames = 64;             // in one batch
constexpr uint64_t kMostBatchBytes = 1 << 20;  // after which a batch ends

bool look_at_link(EntityAccess& access, uint64_t address, LinkRecord* link) {
  return access.look(address, ObjectKind::kPort, kLinkRecordType, link);
}

void store_port(std::vector<char>* bytes, uint32_t offset, uint64_t reference) {
  memcpy(bytes->data() + offset, &reference, sizeof(reference));
}

void check_token(uint64_t* known, uint64_t token) {
  if (*known == 0) *known = token;
  if (token == 0 || *known != token) {
    detail::raise(Status::kRefused, "the link leads to another memory than before");
  }
}

// A port in a message on its way out: whose it is, or null if the other side can't know it.
void translate_out(EntityAccess& access, const LinkRecord& link, const MessagePort& carried,
                   Frame* frame) {
  PortRecord port;
  if (!look_at_port(access, carried.port, &port)) {
    store_port(&frame->bytes, carried.offset, 0);
  } else if (port.link == record_address(link.reference)) {
    if (port.remote != 0) {
      frame->ports.push_back({port.remote, carried.offset, FramePort::kReceivers});
    } else {
      store_port(&frame->bytes, carried.offset, 0);  // it is known by name only
    }
  } else {
    frame->ports.push_back({port.reference, carried.offset, FramePort::kSenders});
  }
}

bool find_target(EntityAccess& access, const LinkRecord& link, const Frame& frame,
                 PortRecord* port) {
  const uint64_t reference =
      frame.target != 0 ? frame.target : find_entity(access, ObjectKind::kPort, frame.name);
  if (!look_at_port(access, reference, port)) return false;
  return frame.target != 0 || port->link != record_address(link.reference);  // no way back
}

}  // namespace

void enqueue(EntityAccess& access, const PortRecord& port, const void* bytes, uint64_t size_bytes,
             const std::vector<MessagePort>& ports) {
  if (port.link == 0) return append(access, port, bytes, size_bytes, ports, 0);
  LinkRecord link;
  if (!look_at_link(access, port.link, &link)) {
    detail::raise(Status::kNoRight, "the link to the other memory is no more");
  }
  if (size_bytes > kLongestMessage) {
    detail::raise(Status::kTooLarge, "a message to another memory has up to 64 MiB");
  }
  append(access, demand_port(access, link.out), bytes, size_bytes, ports, port.reference);
}

LinkRecord demand_link(EntityAccess& access, const std::string& name) {
  LinkRecord link;
  const uint64_t reference = find_entity(access, kLinkNames, name);
  if (reference == 0 || !look_at_link(access, record_address(reference), &link) ||
      link.reference != reference) {
    detail::raise(Status::kNoRight, "there is no link \"" + name + "\"");
  }
  return link;
}

uint64_t make_proxy(EntityAccess& access, const LinkRecord& link, const std::string& name,
                    uint64_t remote) {
  PortRecord port = {};
  const uint64_t address = access.make_empty(ObjectKind::kPort, kPortRecordType, sizeof(port));
  port.reference = new_reference(address);
  port.receiver = kALink;
  port.remote = remote;
  port.link = record_address(link.reference);
  name_entity(access, ObjectKind::kPort, name, port.reference);
  memcpy(port.name, name.data(), name.size());
  access.write(address, port);
  return port.reference;
}

void meet_receiver(EntityAccess& access, const LinkRecord& link, uint64_t token,
                   uint64_t received) {
  LinkSent mine = access.read<LinkSent>(link.sent);
  check_token(&mine.peer_token, token);
  if (received < mine.sequence) {
    detail::raise(Status::kRefused, "the other memory has lost messages that it had received");
  }
  access.write(link.sent, mine);
}

uint64_t meet_sender(EntityAccess& access, const LinkRecord& link, uint64_t token) {
  LinkReceived mine = access.read<LinkReceived>(link.received);
  check_token(&mine.peer_token, token);
  access.write(link.received, mine);
  return mine.sequence;
}

std::vector<Frame> take_frames(EntityAccess& access, const LinkRecord& link, uint64_t wait_us) {
  const PortRecord out = demand_port(access, link.out);
  std::vector<Frame> frames;
  uint64_t batch_bytes = 0;
  QueuedMessage message;
  while (frames.size() < kMostFrames && batch_bytes < kMostBatchBytes &&
         take_first(access, out, frames.empty() ? wait_us : 0, &message)) {
    Frame frame;
    frame.type = FrameType::kMessage;
    PortRecord proxy;
    if (look_at_port(access, message.remote, &proxy)) {
      frame.target = proxy.remote;
      frame.name = proxy.name;
      frame.bytes = std::move(message.bytes);
      for (const MessagePort& carried : message.ports) {
        translate_out(access, link, carried, &frame);
      }
    }
    batch_bytes += frame.bytes.size();
    frames.push_back(std::move(frame));
  }
  if (frames.empty()) return frames;
  uint64_t sequence = access.read<LinkSent>(link.sent).sequence;
  for (Frame& frame : frames) frame.sequence = ++sequence;
  return frames;
}

void count_as_sent(EntityAccess& access, const LinkRecord& link, uint64_t sequence) {
  LinkSent mine = access.read<LinkSent>(link.sent);
  mine.sequence = sequence;
  access.write(link.sent, mine);
}

uint64_t Proxies::of(EntityAccess& access, const LinkRecord& link, uint64_t remote) {
  if (!filled_) {
    for (const PortRecord& port : ports_of(access, kALink)) {
      if (port.link == record_address(link.reference) && port.remote != 0) {
        known_[port.remote] = port.reference;
      }
    }
    filled_ = true;
  }
  PortRecord port;
  const auto found = known_.find(remote);
  if (found != known_.end() && look_at_port(access, found->second, &port) &&
      port.link == record_address(link.reference) && port.remote == remote) {
    return port.reference;
  }
  // (If the transaction aborts, it is found to be none, and made again.)
  return known_[remote] = make_proxy(access, link, {}, remote);
}

void deliver(EntityAccess& access, const LinkRecord& link, Proxies* proxies, Frame frame) {
  LinkReceived mine = access.read<LinkReceived>(link.received);
  if (frame.sequence <= mine.sequence) return;
  if (frame.sequence != mine.sequence + 1) {
    detail::raise(Status::kRefused, "message " + std::to_string(mine.sequence + 1) +
                                        " is missing before " + std::to_string(frame.sequence));
  }
  PortRecord port;
  if (find_target(access, link, frame, &port)) {
    std::vector<MessagePort> ports;
    for (const FramePort& carried : frame.ports) {
      PortRecord home;
      uint64_t reference = carried.port;
      if (carried.whose == FramePort::kSenders) {
        reference = proxies->of(access, link, carried.port);
      } else if (!look_at_port(access, carried.port, &home)) {
        reference = 0;
      }
      store_port(&frame.bytes, carried.offset, reference);
      if (reference == 0) continue;
      ports.push_back({reference, carried.offset, static_cast<uint32_t>(Right::kSend)});
    }
    try {
      enqueue(access, port, frame.bytes.data(), frame.bytes.size(), ports);
    } catch (const Failure& why) {
      // What can never be delivered must not be in the way of the others.
      if (why.status() != Status::kTooLarge && why.status() != Status::kNoRight) throw;
      mine.dropped += 1;
    }
  } else {
    mine.dropped += 1;
  }
  mine.sequence = frame.sequence;
  access.write(link.received, mine);
}

// --- MessageLink ---

void MessageLink::create(const std::string& name) {
  EntityAccess access("a link can't be made");
  if (name.empty()) detail::raise(Status::kTooLarge, "a link has a name");
  LinkRecord link = {};
  const uint64_t address = access.make_empty(ObjectKind::kPort, kLinkRecordType, sizeof(link));
  link.reference = new_reference(address);
  link.token = new_reference(address) ^ new_reference(0) << 1;
  name_entity(access, kLinkNames, name, link.reference);
  memcpy(link.name, name.data(), name.size());
  link.sent = access.make(ObjectKind::kPort, kLinkSentType, LinkSent{});
  link.received = access.make(ObjectKind::kPort, kLinkReceivedType, LinkReceived{});
  PortRecord out = {};
  const uint64_t out_address =
      access.make_empty(ObjectKind::kPort, kPortRecordType, sizeof(out));
  out.reference = new_reference(out_address);
  out.longest_queue = kLongestLinkQueue;
  out.receiver = kALink;
  make_queue(access, &out);
  access.write(out_address, out);
  link.out = out.reference;
  access.write(address, link);
}

StablePort MessageLink::make_proxy(const std::string& link, const std::string& port_name) {
  EntityAccess access("a proxy can't be made");
  if (port_name.empty()) detail::raise(Status::kTooLarge, "a proxy made by hand has a name");
  return StablePort::of_raw(
      stm::make_proxy(access, demand_link(access, link), port_name, 0));
}

LinkReport MessageLink::report(const std::string& name) {
  return in_transaction("a link can't be looked at", [&](EntityAccess& access) {
    const LinkRecord link = demand_link(access, name);
    LinkSent sent = {};
    LinkReceived received = {};
    access.look(link.sent, ObjectKind::kPort, kLinkSentType, &sent);
    access.look(link.received, ObjectKind::kPort, kLinkReceivedType, &received);
    uint64_t put = 0, taken = 0;
    count_messages(access, demand_port(access, link.out), &put, &taken);
    return LinkReport{put - taken, sent.sequence, received.sequence, received.dropped};
  });
}

}  // namespace auxin::stm
