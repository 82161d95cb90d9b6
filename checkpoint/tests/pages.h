// SPDX-License-Identifier: Apache-2.0
//
// Pages of memory for a test, which does with them what a program may do. They are far below where
// the kernel maps by itself, so that nothing else comes to be where they were unmapped.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "checkpoint/tracking/page_run.h"

namespace auxin::checkpoint::test {

class Pages {
 public:
  explicit Pages(uint64_t count) : count_(count), memory_(map(next_place(count), count, 0)) {}
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { munmap(memory_, count_ * kPageBytes); }

  uint64_t count() const { return count_; }
  char* at(uint64_t index) const { return memory_ + index * kPageBytes; }
  uint64_t address(uint64_t index) const { return reinterpret_cast<uint64_t>(at(index)); }
  void fill(uint64_t index, int with) { std::memset(at(index), with, kPageBytes); }
  void unmap(uint64_t index, uint64_t count) { munmap(at(index), count * kPageBytes); }
  void map_again(uint64_t index, uint64_t count) { map(at(index), count, MAP_FIXED); }

 private:
  static void* next_place(uint64_t count) {
    static std::atomic<uint64_t> next{uint64_t{3} << 44};
    [[maybe_unused]] const uint64_t place = next.fetch_add((count + 1024) * kPageBytes);
#ifdef __SANITIZE_THREAD__  // it allows memory in places of its own choice only
    return nullptr;
#else
    return reinterpret_cast<void*>(place);
#endif
  }
  static char* map(void* where, uint64_t count, int flags) {
    void* memory = mmap(where, count * kPageBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    return static_cast<char*>(memory);
  }

  uint64_t count_;
  char* memory_;
};

}  // namespace auxin::checkpoint::test
