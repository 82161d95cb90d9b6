// SPDX-License-Identifier: Apache-2.0
//
// How a middleware that does not speak GIOP frames its messages: the section [framing] of a map.
//
// Thread safety: immutable once read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace auxin::markers {

struct Framing {
  static constexpr uint32_t kMostHeaderBytes = 64;

  // Places are bytes from the message's begin. A field has 1, 2, 4 or 8 bytes.
  uint32_t length_at = 0, length_bytes = 0;
  int64_t length_adds = 0;  // what the length field does not count; negative: it counts more
  uint32_t kind_at = 0, kind_bytes = 0;
  uint32_t id_at = 0, id_bytes = 0;
  bool little_endian = false;
  std::vector<uint64_t> requests, replies;  // kinds

  uint32_t header_bytes() const {
    return std::max({length_at + length_bytes, kind_at + kind_bytes, id_at + id_bytes});
  }
  bool is_request(uint64_t kind) const { return contains(requests, kind); }
  bool is_reply(uint64_t kind) const { return contains(replies, kind); }

 private:
  static bool contains(const std::vector<uint64_t>& kinds, uint64_t kind) {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  }
};

}  // namespace auxin::markers
