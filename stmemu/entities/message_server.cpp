// SPDX-License-Identifier: Apache-2.0
//
// class MessageServer of <auxin/stm_message_server.h>: two threads, one for each direction, over
// streams of their own, so that neither waits for the other.
#include "auxin/stm_message_server.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "stmemu/entities/link.h"
#include "stmemu/entities/signal.h"
#include "stmemu/entities/stream.h"

namespace auxin::stm {
namespace {

constexpr int kTurn_ms = 50;                  // before a thread looks at `stopping`
constexpr uint64_t kNoAck_us = 10'000'000;    // a peer that is silent so long is given up
constexpr long kFullPause_ns = 2'000'000;     // before a full port is tried again
constexpr long kReconnectPause_ns = 5'000'000;

void pause_for(long time_ns) {
  const timespec pause = {0, time_ns};
  nanosleep(&pause, nullptr);
}

[[noreturn]] void give_up(const std::string& why) { detail::raise(Status::kUnreachable, why); }

template <typename T>
T demand(Result<T> result) {
  if (!result) give_up(result.error());
  return std::move(result.value());
}

Frame hello(const LinkRecord& link, uint64_t received) {
  Frame frame;
  frame.type = FrameType::kHello;
  frame.sequence = received;
  frame.target = link.token;
  frame.name = link.name;
  return frame;
}

Frame ack(uint64_t sequence) {
  Frame frame;
  frame.type = FrameType::kAck;
  frame.sequence = sequence;
  return frame;
}

}  // namespace

struct MessageServer::Parts {
  Memory memory;
  std::string name;
  MessageServerAddresses addresses;
  LinkRecord link = {};
  Socket listener;
  std::atomic<bool> stopping{false};
  mutable std::mutex mutex;
  std::string failure;  // under mutex
  std::thread sender, receiver;

  // The body in a transaction of the memory.
  template <typename Body>
  auto in_memory(Body body) {
    return atomically(memory, [&](Transaction&) {
      EntityAccess access("a message server works");
      return body(access);
    });
  }

  // Waits for a frame of the type as long as the peer may be silent.
  Frame await(const Socket& stream, FrameType type) {
    const uint64_t start_us = monotonic_us();
    Frame frame;
    while (!demand(stream.receive(&frame, kTurn_ms))) {
      if (stopping.load()) give_up("stopped");
      if (monotonic_us() - start_us > kNoAck_us) give_up("the peer is silent");
    }
    if (frame.type != type) give_up("the peer sends what it should not");
    return frame;
  }

  // --- out ---

  Socket find_peer(size_t attempt) {
    const std::vector<std::string>& peers = addresses.peers;
    Socket stream = demand(Socket::connect_to(peers[attempt % peers.size()]));
    demand(stream.send(hello(link, 0)));
    const Frame answer = await(stream, FrameType::kHello);
    if (answer.name != link.name) give_up("the peer serves another link");
    in_memory([&](EntityAccess& access) {
      meet_receiver(access, link, answer.target, answer.sequence);
    });
    return stream;
  }

  // One batch: taken, sent, acknowledged, counted; or nothing of it happened here.
  void send_batch(const Socket& stream) {
    Transaction transaction(memory);
    TransactionGuard guard(transaction);
    std::vector<Frame> frames;
    {
      EntityAccess access("a message server works");
      frames = take_frames(access, link, kTurn_ms * 1000);
    }
    if (frames.empty()) return;
    for (const Frame& frame : frames) demand(stream.send(frame));
    while (await(stream, FrameType::kAck).sequence < frames.back().sequence) {
    }
    {
      EntityAccess access("a message server works");
      count_as_sent(access, link, frames.back().sequence);
    }
    guard.commit();
  }

  void send() {
    for (size_t attempt = 0; !stopping.load(); ++attempt) {
      try {
        const Socket stream = find_peer(attempt);
        while (!stopping.load()) send_batch(stream);
      } catch (const Failure& why) {
        report(why);
        pause_for(kReconnectPause_ns);
      }
    }
  }

  // --- in ---

  void deliver_one(Proxies* proxies, const Socket& stream, Frame frame) {
    for (;;) {
      try {
        in_memory([&](EntityAccess& access) { deliver(access, link, proxies, frame); });
        break;
      } catch (const Failure& why) {
        if (why.status() != Status::kFull && !why.retryable()) throw;
        if (stopping.load()) throw;
      }
      pause_for(kFullPause_ns);
    }
    demand(stream.send(ack(frame.sequence)));
  }

  // Until the stream ends, or a newer one has come: then that is the active processor's.
  Socket serve(const Socket& stream, Proxies* proxies) {
    const Frame greeting = await(stream, FrameType::kHello);
    if (greeting.name != link.name) give_up("the peer serves another link");
    const uint64_t received = in_memory(
        [&](EntityAccess& access) { return meet_sender(access, link, greeting.target); });
    demand(stream.send(hello(link, received)));
    while (!stopping.load()) {
      Frame frame;
      if (demand(stream.receive(&frame, kTurn_ms))) {
        if (frame.type != FrameType::kMessage) give_up("the peer sends what it should not");
        deliver_one(proxies, stream, std::move(frame));
      } else if (Socket newer = demand(listener.accept(0)); newer.fd() >= 0) {
        return newer;
      }
    }
    return Socket();
  }

  void receive() {
    Proxies proxies;
    Socket stream;
    while (!stopping.load()) {
      try {
        if (stream.fd() < 0) stream = demand(listener.accept(kTurn_ms));
        if (stream.fd() < 0) continue;
        const Socket serving = std::move(stream);
        stream = serve(serving, &proxies);
      } catch (const Failure& why) {
        report(why);
      }
    }
  }

  void report(const Failure& why) {
    const std::lock_guard lock(mutex);
    failure = why.what();
  }
};

MessageServer::MessageServer(const Memory& memory, const std::string& link,
                             const MessageServerAddresses& addresses)
    : parts_(std::make_unique<Parts>()) {
  Parts& parts = *parts_;
  parts.memory = memory;
  parts.name = link;
  parts.addresses = addresses;
  parts.link = parts.in_memory([&](EntityAccess& access) { return demand_link(access, link); });
  if (!addresses.listens_at.empty()) {
    Result<Socket> listener = Socket::listen_at(addresses.listens_at);
    if (!listener) detail::raise(Status::kRefused, listener.error());
    parts.listener = std::move(listener.value());
    parts.receiver = std::thread([&parts] { parts.receive(); });
  }
  if (!addresses.peers.empty()) parts.sender = std::thread([&parts] { parts.send(); });
}

MessageServer::~MessageServer() {
  parts_->stopping.store(true);
  if (parts_->sender.joinable()) parts_->sender.join();
  if (parts_->receiver.joinable()) parts_->receiver.join();
}

std::string MessageServer::last_failure() const {
  const std::lock_guard lock(parts_->mutex);
  return parts_->failure;
}

}  // namespace auxin::stm
