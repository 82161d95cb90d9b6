// SPDX-License-Identifier: Apache-2.0
//
// Messages of which some pieces have come. They outlive their connection: its successor goes on
// from there. What they take of memory has a limit; the one that has waited longest gives way.
//
// Thread safety: any thread; an assembly belongs to one connection at a time.
#pragma once

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "checkpoint/message/piece.h"
#include "checkpoint/transport/connection.h"

namespace auxin::checkpoint {

class PartialTransfers {
 public:
  PartialTransfers(uint64_t max_message_bytes, uint64_t max_bytes)
      : max_message_bytes_(max_message_bytes), max_bytes_(max_bytes) {}

  // The assembly of the message of `digest` under `name`, with what came before. If an older
  // connection has it (its sender has given it up, or it would not offer the message again), that
  // one is ended first. Null: there is no room, or the older one does not end within wait_ms.
  Assembly* take(const std::string& name, uint64_t digest, uint64_t message_bytes,
                 Connection* connection, int wait_ms);
  // `done`: the message is complete, or will never be.
  void give_back(Assembly* assembly, bool done);
  // Memory of a message that is done with: the next one is put together in it.
  void reuse(ByteBuffer memory);

 private:
  struct Partial {
    std::string name;
    uint64_t digest, message_bytes;
    Connection* owner;  // null: waits for a connection
    std::unique_ptr<Assembly> assembly;
  };
  bool make_room(uint64_t message_bytes);

  static constexpr size_t kMost = 64;
  const uint64_t max_message_bytes_, max_bytes_;
  std::mutex mutex_;
  std::condition_variable given_back_;
  std::list<Partial> partials_;  // the one that was used last stands last
  uint64_t bytes_ = 0;
  ByteBuffer spare_;
};

}  // namespace auxin::checkpoint
