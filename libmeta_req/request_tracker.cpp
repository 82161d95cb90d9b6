// SPDX-License-Identifier: Apache-2.0
#include "libmeta_req/request_tracker.h"

#include <sched.h>

#include "libmeta_os/private_memory.h"

namespace auxin::req {
namespace {

// Exclusion for a few instructions; never held across a call that may block.
class Spin {
 public:
  explicit Spin(std::atomic_flag& flag) : flag_(flag) {
    while (flag_.test_and_set(std::memory_order_acquire)) sched_yield();
  }
  ~Spin() { flag_.clear(std::memory_order_release); }

 private:
  std::atomic_flag& flag_;
};

bool is_request(const GiopMessage& message) {
  return message.id_known &&
         (message.type == GiopType::kRequest || message.type == GiopType::kLocateRequest);
}

constinit const markers::Framing* framing_in_force = nullptr;

}  // namespace

void set_framing(const markers::Framing* framing) { framing_in_force = framing; }

// Records of pending requests, for all connections; grows a page at a time and keeps what it has.
class RequestTracker::Pool {
 public:
  Pending* allocate() {
    Spin guard(lock_);
    if (free_ == nullptr && !grow()) return nullptr;
    Pending* record = free_;
    free_ = record->next;
    return record;
  }
  void release(Pending* record) {
    Spin guard(lock_);
    record->next = free_;
    free_ = record;
  }

 private:
  bool grow() {
    constexpr size_t kBlockBytes = 16384;
    void* block = os::map_private(kBlockBytes);
    if (block == nullptr) return false;
    Pending* records = static_cast<Pending*>(block);
    for (size_t i = 0; i < kBlockBytes / sizeof(Pending); ++i) {
      records[i].next = free_;
      free_ = &records[i];
    }
    return true;
  }
  std::atomic_flag lock_ = ATOMIC_FLAG_INIT;
  Pending* free_ = nullptr;
};

RequestTracker::Pool& RequestTracker::pool() {
  static constinit Pool instance;
  return instance;
}

void RequestTracker::request_begins(uint32_t request_id) {
  const uint32_t ordinal = ++ordinals_;
  if (Pending* record = pool().allocate()) {
    *record = Pending{request_id, ordinal, nullptr};
    Spin guard(lock_);
    (last_ != nullptr ? last_->next : first_) = record;
    last_ = record;
  }
  if (events_ != nullptr) events_->reception_start(events_->context, request_id, ordinal);
}

void RequestTracker::request_ends(uint32_t request_id) {
  if (events_ != nullptr) events_->received(events_->context, request_id, ordinals_);
}

void RequestTracker::reset() {
  while (first_ != nullptr) {
    Pending* record = first_;
    first_ = record->next;
    pool().release(record);
  }
  last_ = nullptr;
  input_ = GiopStream{};
  output_ = GiopStream{};
  framed_input_ = FramedStream{};
  framed_output_ = FramedStream{};
  ordinals_ = 0;
}

void RequestTracker::received(const void* data, size_t size_bytes, const Events* events) {
  events_ = events;
  if (framing_in_force != nullptr) {
    receive_framed(*framing_in_force, data, size_bytes);
  } else {
    receive_giop(data, size_bytes);
  }
  events_ = nullptr;
}

void RequestTracker::receive_giop(const void* data, size_t size_bytes) {
  const GiopStream::Events on{
      this,
      [](void* self, const GiopMessage& message) {
        if (is_request(message))
          static_cast<RequestTracker*>(self)->request_begins(message.request_id);
      },
      [](void* self, const GiopMessage& message) {
        if (is_request(message))
          static_cast<RequestTracker*>(self)->request_ends(message.request_id);
      }};
  input_.feed(data, size_bytes, on);
}

void RequestTracker::receive_framed(const markers::Framing& framing, const void* data,
                                    size_t size_bytes) {
  const FramedStream::Events on{
      this,
      [](void* self, const FramedMessage& message) {
        if (message.kind == FramedMessage::Kind::kRequest)
          static_cast<RequestTracker*>(self)->request_begins(message.id);
      },
      [](void* self, const FramedMessage& message) {
        if (message.kind == FramedMessage::Kind::kRequest)
          static_cast<RequestTracker*>(self)->request_ends(message.id);
      }};
  framed_input_.feed(framing, data, size_bytes, on);
}

unsigned RequestTracker::sent(const void* data, size_t size_bytes) {
  replies_ended_ = 0;
  if (framing_in_force != nullptr) {
    const FramedStream::Events framed{this, nullptr, [](void* self, const FramedMessage& message) {
      if (message.kind == FramedMessage::Kind::kReply)
        ++static_cast<RequestTracker*>(self)->replies_ended_;
    }};
    framed_output_.feed(*framing_in_force, data, size_bytes, framed);
    return replies_ended_;
  }
  const GiopStream::Events on{this, nullptr, [](void* self, const GiopMessage& message) {
    if (message.type == GiopType::kReply || message.type == GiopType::kLocateReply)
      ++static_cast<RequestTracker*>(self)->replies_ended_;
  }};
  output_.feed(data, size_bytes, on);
  return replies_ended_;
}

uint32_t RequestTracker::take(uint32_t request_id) {
  Pending* found = nullptr;
  {
    Spin guard(lock_);
    Pending* previous = nullptr;
    for (Pending* record = first_; record != nullptr; previous = record, record = record->next) {
      if (record->request_id != request_id) continue;
      (previous != nullptr ? previous->next : first_) = record->next;
      if (last_ == record) last_ = previous;
      found = record;
      break;
    }
  }
  if (found == nullptr) return 0;
  const uint32_t ordinal = found->ordinal;
  pool().release(found);
  return ordinal;
}

}  // namespace auxin::req
