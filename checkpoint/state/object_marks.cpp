// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/object_marks.h"

#include <atomic>
#include <cstring>

#include "checkpoint/detection/memory_access.h"

namespace auxin::checkpoint {

uint8_t* ObjectMarks::add(uint64_t id, uint64_t address, uint64_t size_bytes,
                          uint32_t* place) {
  Object object;
  object.used = true;
  object.id = id;
  object.address = address;
  object.size_bytes = size_bytes;
  if (!object.copy.resize(size_bytes)) return nullptr;
  uint32_t index = count();
  if (free_.empty()) {
    objects_.push_back(std::move(object));
    if (blocks_.size() * kMarksOfABlock < objects_.size()) blocks_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
    objects_[index] = std::move(object);
  }
  mark(index) = 1;
  *place = index;
  return &mark(index);
}

void ObjectMarks::remove(uint32_t index) {
  objects_[index] = Object();
  mark(index) = 0;
  free_.push_back(index);
}

void ObjectMarks::mark_all() {
  for (uint32_t i = 0; i < count(); ++i) {
    if (objects_[i].used) mark(i) = 1;
  }
}

uint64_t ObjectMarks::collect(uint64_t* unreadable) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < count(); ++i) {
    if (i % 8 == 0) {
      uint64_t eight;
      std::memcpy(&eight, &mark(i), sizeof(eight));
      if (eight == 0) {
        i += 7;
        continue;
      }
    }
    std::atomic_ref<uint8_t> one(mark(i));
    if (one.load(std::memory_order_relaxed) == 0) continue;
    // Before the copy: a store that comes after is marked again.
    one.exchange(0, std::memory_order_acq_rel);
    Object& object = objects_[i];
    if (!object.used) continue;
    if (unreadable == nullptr) {
      std::memcpy(object.copy.data(), reinterpret_cast<const void*>(object.address),
                  object.size_bytes);
    } else if (!read_memory(object.copy.data(), object.address, object.size_bytes)) {
      one.store(1);
      *unreadable = object.address;
      continue;
    }
    object.staged = true;
    bytes += object.size_bytes;
  }
  return bytes;
}

}  // namespace auxin::checkpoint
