// SPDX-License-Identifier: Apache-2.0
//
// Which requests are on their way on one connection, and which ordinal each has.
//
// Fed with both directions' bytes in stream order, it numbers the requests (1, 2, …) as their
// messages begin and remembers them until the ORB, about to handle one, asks for its ordinal. Fed
// with the same bytes it gives the same answers in every replica. Requests with equal ids (clients
// may reuse them) are taken in stream order.
//
// Not thread-safe for one direction; the two directions may be fed concurrently. take() may run
// beside either. Records come from a pool of its own (mmap), never from the heap: usable in hooks.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "libmeta_req/framed_stream.h"
#include "libmeta_req/giop_stream.h"

namespace auxin::req {

// The framing of the process's middleware, from its map; it must live for ever. Before the server's
// main; null: GIOP, as without a call.
void set_framing(const markers::Framing* framing);

class RequestTracker {
 public:
  void reset();  // for a new connection; gives pending records back

  // What a piece of input began or completed, for each Request and LocateRequest in it.
  struct Events {
    void* context;
    void (*reception_start)(void* context, uint32_t request_id, uint32_t ordinal);
    void (*received)(void* context, uint32_t request_id, uint32_t ordinal);
  };
  void received(const void* data, size_t size_bytes, const Events* events);
  // Returns how many Reply and LocateReply messages ended within the piece.
  unsigned sent(const void* data, size_t size_bytes);

  // The ordinal of the oldest pending request with this id; it is pending no more. 0: none.
  uint32_t take(uint32_t request_id);

 private:
  struct Pending {
    uint32_t request_id;
    uint32_t ordinal;
    Pending* next;
  };
  class Pool;
  static Pool& pool();
  void request_begins(uint32_t request_id);
  void request_ends(uint32_t request_id);
  void receive_giop(const void* data, size_t size_bytes);
  void receive_framed(const markers::Framing& framing, const void* data, size_t size_bytes);

  GiopStream input_, output_;
  FramedStream framed_input_, framed_output_;  // in their place where a map describes a framing
  uint32_t ordinals_ = 0;
  std::atomic_flag lock_ = ATOMIC_FLAG_INIT;
  Pending* first_ = nullptr;
  Pending* last_ = nullptr;
  const Events* events_ = nullptr;  // while received() runs
  unsigned replies_ended_ = 0;      // while sent() runs
};

}  // namespace auxin::req
