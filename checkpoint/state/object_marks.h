// SPDX-License-Identifier: Apache-2.0
//
// Objects whose changes the process tells itself: a mark is one store to one byte, no page fault.
// A collection walks the marks eight at a time.
//
// Thread safety: marks are set by any thread; everything else by one at a time. A mark stays where
// it is as long as its object is there.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "checkpoint/message/byte_buffer.h"

namespace auxin::checkpoint {

class ObjectMarks {
 public:
  struct Object {
    bool used = false;
    uint64_t id = 0;
    uint64_t address = 0, size_bytes = 0;
    bool announced = false;  // receivers know it
    bool staged = false;     // a copy of it waits for its message
    ByteBuffer copy;
  };

  // The object's mark, which is set; null: no memory. *index: its place.
  uint8_t* add(uint64_t id, uint64_t address, uint64_t size_bytes, uint32_t* index);
  void remove(uint32_t index);

  uint32_t count() const { return static_cast<uint32_t>(objects_.size()); }
  Object& operator[](uint32_t index) { return objects_[index]; }
  const Object& operator[](uint32_t index) const { return objects_[index]; }

  void mark_all();
  // Copies what is marked, and takes the marks off. Returns the bytes. `unreadable`: not null, and
  // an object's memory can't be read: its address; it stays marked.
  uint64_t collect(uint64_t* unreadable = nullptr);

 private:
  static constexpr uint32_t kMarksOfABlock = 4096;
  struct Block {
    alignas(64) uint8_t marks[kMarksOfABlock] = {};
  };
  uint8_t& mark(uint32_t index) {
    return blocks_[index / kMarksOfABlock].marks[index % kMarksOfABlock];
  }

  std::vector<Object> objects_;
  std::deque<Block> blocks_;  // never move
  std::vector<uint32_t> free_;
};

}  // namespace auxin::checkpoint
