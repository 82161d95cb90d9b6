// SPDX-License-Identifier: Apache-2.0
//
// What the transactions of stm_bench and stm_peers do, so that both do the same.
//
// One transaction overwrites objects, as many and as large as its shape says: `64` one of 64 bytes,
// `1k` one of 1024 bytes, `10k` ten different ones of 1024 bytes; which ones is random, out of 8192
// that are made beforehand. The same seed gives the same objects and the same values.
//
// The timed loop keeps no books: afterwards the random choices are played once more, and every
// object must hold what was last written to it.
//
// Thread safety: a Workload is one thread's.
#pragma once

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <array>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace auxin::bench {

inline constexpr uint32_t kObjects = 8192;
inline constexpr uint32_t kMaxObjectBytes = 1024;
inline constexpr uint32_t kMaxWrites = 10;
inline constexpr size_t kStoreBytes = size_t{64} << 20;
inline constexpr double kWarmUpSeconds = 0.1;
// The clock is read once for so many transactions.
inline constexpr uint64_t kBatch = 64;

struct Shape {
  const char* name;
  uint32_t writes;
  uint32_t object_bytes;
};
inline constexpr Shape kShapes[] = {{"64", 1, 64}, {"1k", 1, 1024}, {"10k", kMaxWrites, 1024}};

// The shape of that name; null: none.
inline const Shape* shape_named(const char* name) {
  for (const Shape& shape : kShapes) {
    if (strcmp(shape.name, name) == 0) return &shape;
  }
  return nullptr;
}

// Static and global objects are destroyed on the way out: TemporaryDirectory is one of them.
[[noreturn, gnu::format(printf, 1, 2)]] inline void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "%s: ", program_invocation_short_name);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

// A fresh directory, mode 0700, that goes with all its files when this object does.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const std::string& parent) : path_(parent + "/stm-bench.XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) {
      fail("cannot make a directory in %s: %s", parent.c_str(), strerror(errno));
    }
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A part of the objects: one thread's.
struct Share {
  uint32_t first = 0;
  uint32_t count = kObjects;

  static Share of(uint32_t thread, uint32_t threads) {
    const uint32_t first = kObjects / threads * thread;
    return {first, thread + 1 == threads ? kObjects - first : kObjects / threads};
  }
};

// One object's number and the object_bytes to put there, which stay where they are.
struct Write {
  uint32_t object;
  const char* bytes;
};

// The transactions of one seed, in order: which objects, and which bytes.
class Workload {
 public:
  // `share` has more objects than the shape writes at once.
  Workload(const Shape& shape, uint64_t seed, Share share = {})
      : writes_(shape.writes), share_(share), state_(seed) {
    uint64_t noise = 1;
    for (size_t at = 0; at < noise_.size(); at += sizeof(uint64_t)) {
      const uint64_t word = splitmix(&noise);
      memcpy(&noise_[at], &word, sizeof word);
    }
  }

  // Fills in as many writes as the shape has. Their objects differ.
  void next(Write* writes) {
    for (uint32_t n = 0; n < writes_;) {
      writes[n].object = share_.first + choose(share_.count);
      bool again = false;
      for (uint32_t m = 0; m < n; ++m) again |= writes[m].object == writes[n].object;
      if (again) continue;
      writes[n++].bytes = &noise_[(written_++ % kValues) * kValueStep];
    }
  }

 private:
  // So many values, each a cache line further along in the noise: they fit the first-level cache.
  static constexpr size_t kValues = 256;
  static constexpr size_t kValueStep = 64;

  static uint64_t splitmix(uint64_t* state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  uint32_t choose(uint32_t count) {
    const auto scaled = static_cast<unsigned __int128>(splitmix(&state_)) * count;
    return static_cast<uint32_t>(scaled >> 64);
  }

  uint32_t writes_;
  Share share_;
  uint64_t state_;
  uint64_t written_ = 0;
  alignas(64) std::array<char, kValues * kValueStep + kMaxObjectBytes> noise_;
};

inline double now_seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Count {
  uint64_t transactions = 0;
  double seconds = 0;
};

// Store::transact(writes) does one transaction.
template <typename Store>
Count run_for(Store& store, Workload& workload, double seconds) {
  Write writes[kMaxWrites];
  Count count;
  const double begin = now_seconds();
  do {
    for (uint64_t n = 0; n < kBatch; ++n) {
      workload.next(writes);
      store.transact(writes);
    }
    count.transactions += kBatch;
    count.seconds = now_seconds() - begin;
  } while (count.seconds < seconds);
  return count;
}

// Plays so many transactions again, on paper, and compares every object of the share.
// Store::holds(object, bytes): whether the object has these bytes and no others.
template <typename Store>
void verify(Store& store, const Shape& shape, uint64_t seed, uint64_t transactions,
            Share share = {}) {
  const std::string zero(shape.object_bytes, '\0');
  std::vector<const char*> expected(kObjects, zero.data());
  Workload workload(shape, seed, share);
  Write writes[kMaxWrites];
  for (uint64_t n = 0; n < transactions; ++n) {
    workload.next(writes);
    for (uint32_t m = 0; m < shape.writes; ++m) expected[writes[m].object] = writes[m].bytes;
  }
  for (uint32_t object = share.first; object < share.first + share.count; ++object) {
    if (!store.holds(object, expected[object])) {
      fail("object %u does not hold the last value written to it", object);
    }
  }
}

}  // namespace auxin::bench
