// SPDX-License-Identifier: Apache-2.0
//
// For tests: remote procedure calls through stable ports whose effects can be counted (paper 001,
// §3.3: the server "executes exactly once each call"). A server that keeps a ledger of calls, and
// clients that keep their progress, each in one transaction a step, as the paper's programs do.
#pragma once

#include <gtest/gtest.h>

#include "auxin/stm_entities.h"
#include "stmemu/transaction/survey.h"

namespace auxin::stm::calls {

inline constexpr uint64_t kClients = 3;

struct Request {
  uint64_t client, number;
  StablePort reply;
  template <typename Visit>
  void each_port(Visit visit) { visit(reply); }
};
struct Reply {
  uint64_t number;
};
struct Ledger : Stable {
  uint64_t last[kClients] = {};  // number of the last call executed
  uint64_t errors = 0;           // calls that came twice, or not in order
};
struct Progress : Stable {
  uint64_t done = 0;
  uint64_t waiting = 0;
  uint64_t errors = 0;           // replies that were not the awaited one
  StablePort reply;
};

inline std::string name_of_client(uint64_t client) { return "client " + std::to_string(client); }

inline void set_up_server(const Memory& memory) {
  atomically(memory, [](Transaction& t) {
    StablePort::create("server");
    t.set_root("ledger", t.make<Ledger>().reference());
  });
}

inline void set_up_clients(const Memory& memory) {
  atomically(memory, [](Transaction& t) {
    for (uint64_t client = 0; client < kClients; ++client) {
      auto progress = t.make<Progress>();
      progress->reply = StablePort::create();
      t.set_root(name_of_client(client), progress.reference());
    }
  });
}

inline StablePort server_port(const Memory& memory) {
  return atomically(memory, [](Transaction&) { return StablePort::find("server"); });
}

// One call; false if none came.
inline bool serve(const Memory& memory, uint64_t wait_us) {
  const StablePort port = server_port(memory);
  return atomically(memory, [&](Transaction& t) {
    Request request;
    if (!port.receive(request, wait_us)) return false;
    auto ledger = t.open<Ledger>(t.root<Ledger>("ledger"));
    if (++ledger->last[request.client] != request.number) ledger->errors += 1;
    request.reply.send(Reply{request.number});
    return true;
  });
}

inline void request(const Memory& memory, uint64_t client) {
  const StablePort port = server_port(memory);
  atomically(memory, [&](Transaction& t) {
    auto progress = t.open<Progress>(t.root<Progress>(name_of_client(client)));
    if (progress->waiting != 0) return;
    port.send(Request{client, progress->done + 1, progress->reply});
    progress->waiting = 1;
  });
}

// False: no reply came, or none is awaited.
inline bool await(const Memory& memory, uint64_t client, uint64_t wait_us) {
  StablePort reply_port;
  stable_ptr<Progress> mine;
  const bool waiting = atomically(memory, [&](Transaction& t) {
    mine = t.root<Progress>(name_of_client(client));
    auto progress = t.open<const Progress>(mine);
    reply_port = progress->reply;
    return progress->waiting != 0;
  });
  return waiting && atomically(memory, [&](Transaction& t) {
           Reply reply;
           if (!reply_port.receive(reply, wait_us)) return false;
           auto progress = t.open<Progress>(mine);
           if (++progress->done != reply.number) progress->errors += 1;
           progress->waiting = 0;
           return true;
         });
}

struct Count {
  uint64_t objects, own_objects;
};
// What there is when nothing is on its way; and that nothing is damaged.
inline Count count(const Memory& memory) {
  PhysicalMemory reader;
  const Result<bool> mapped = reader.map(memory.path(), PhysicalMemory::Access::kRead);
  EXPECT_TRUE(mapped) << mapped.error();
  const Survey found = survey(reader);
  EXPECT_EQ(found.lost, 0u);
  for (const std::string& damage : found.damage) ADD_FAILURE() << damage;
  return {found.objects, found.own_objects};
}

// One effect and one reply for each call; none is on its way.
inline uint64_t check(const Memory& server, const Memory& clients) {
  const Ledger ledger = atomically(server, [](Transaction& t) {
    EXPECT_EQ(StablePort::find("server").report().queued(), 0u);
    return *t.open<const Ledger>(t.root<Ledger>("ledger"));
  });
  EXPECT_EQ(ledger.errors, 0u);
  return atomically(clients, [&](Transaction& t) {
    uint64_t calls = 0;
    for (uint64_t client = 0; client < kClients; ++client) {
      auto progress = t.open<const Progress>(t.root<Progress>(name_of_client(client)));
      EXPECT_EQ(progress->errors, 0u);
      EXPECT_EQ(progress->waiting, 0u) << "a call was lost";
      EXPECT_EQ(progress->done, ledger.last[client]);
      EXPECT_EQ(progress->reply.report().queued(), 0u);
      calls += progress->done;
    }
    return calls;
  });
}

// Brings every call that is on its way to its end first.
inline uint64_t settle_and_check(const Memory& memory) {
  for (bool busy = true; busy;) {
    busy = serve(memory, 0);
    for (uint64_t client = 0; client < kClients; ++client) busy |= await(memory, client, 0);
  }
  return check(memory, memory);
}

}  // namespace auxin::stm::calls
