// SPDX-License-Identifier: Apache-2.0
//
// The stable part of a link between two memories (<auxin/stm_message_server.h>): its queue, its
// sequence numbers, its proxies; and what a message server does with them inside a transaction.
//
// Exactly once: a message leaves the queue in the transaction that counts it as sent, after the
// other side has said that it has it; it is delivered in the transaction that counts it as
// received. Between the two it may travel more than once, under the same number.
#pragma once

#include <map>

#include "stmemu/entities/port_queue.h"
#include "stmemu/entities/rights.h"
#include "stmemu/entities/wire.h"

namespace auxin::stm {

// Into the port's queue, or, if it is a proxy, its link's.
void enqueue(EntityAccess& access, const PortRecord& port, const void* bytes, uint64_t size_bytes,
             const std::vector<MessagePort>& ports);

// kNoRight: there is none.
LinkRecord demand_link(EntityAccess& access, const std::string& name);
uint64_t make_proxy(EntityAccess& access, const LinkRecord& link, const std::string& name,
                    uint64_t remote);

// The other side has said who it is, and what it has received; adopts it at the first meeting.
// kRefused: another one than the last time, or one that has lost messages.
void meet_receiver(EntityAccess& access, const LinkRecord& link, uint64_t token,
                   uint64_t received);
// Of a sender; gives the number of the last message delivered.
uint64_t meet_sender(EntityAccess& access, const LinkRecord& link, uint64_t token);

// Takes messages out of the link's queue, waiting for the first up to `wait_us`: frames that follow
// the last one sent. A message whose proxy is no more is dropped (and an empty frame in its place).
std::vector<Frame> take_frames(EntityAccess& access, const LinkRecord& link, uint64_t wait_us);
void count_as_sent(EntityAccess& access, const LinkRecord& link, uint64_t sequence);

// The link's proxies by what they stand for; a cache, made when it is first needed.
class Proxies {
 public:
  uint64_t of(EntityAccess& access, const LinkRecord& link, uint64_t remote);

 private:
  std::map<uint64_t, uint64_t> known_;
  bool filled_ = false;
};

// Puts the message into its port, unless it has been delivered before. kFull: later; kRefused: not
// the next one.
void deliver(EntityAccess& access, const LinkRecord& link, Proxies* proxies, Frame frame);

}  // namespace auxin::stm
