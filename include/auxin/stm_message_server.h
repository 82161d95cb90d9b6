// SPDX-License-Identifier: Apache-2.0
//
// The reliable network message server (M. Banâtre et al., §3.2.3): moves messages between the
// stable ports of two stable memories, each of them exactly once, whatever dies meanwhile.
//
// Each memory has a link to the other, of the same name, and proxies: ports that stand for ports of
// the other memory. What is sent to a proxy is in the link's queue once its transaction commits; a
// message server takes it from there, and into the real port. Ports in a message travel along: they
// arrive as proxies of what they were, or as themselves if that is where they come home to. Receive
// rights stay in their memory.
//
// The two memories trust each other's message servers (their files are their owners' alone), but no
// length, count or offset that comes from the network.
//
// Thread safety: a MessageServer has threads of its own; its functions may be called by any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "auxin/stm_entities.h"

namespace auxin::stm {

struct LinkReport {
  uint64_t waiting;   // messages in its queue
  uint64_t sent;      // that the other side is known to have
  uint64_t received;  // that came from there
  uint64_t dropped;   // of these: their port was no more
};

// The stable end of a link.
class MessageLink {
 public:
  // In the current transaction; kBusy if the name is taken.
  static void create(const std::string& name);
  // A port that stands for the other memory's port `port_name`, and has its name here; in the
  // current transaction. kNoRight: no such link.
  static StablePort make_proxy(const std::string& link, const std::string& port_name);
  static LinkReport report(const std::string& name);
};

// Addresses are "unix:PATH" or "tcp:HOST:PORT" (numeric).
struct MessageServerAddresses {
  std::string listens_at;          // for what comes in; empty: nothing does
  std::vector<std::string> peers;  // where the other side's active processor may be, tried in turn
};

// Moves what waits in the link, and delivers what arrives, until it goes.
class MessageServer {
 public:
  // kRefused: it can't listen there.
  MessageServer(const Memory& memory, const std::string& link,
                const MessageServerAddresses& addresses);
  ~MessageServer();
  MessageServer(const MessageServer&) = delete;
  MessageServer& operator=(const MessageServer&) = delete;

  std::string last_failure() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace auxin::stm
