// SPDX-License-Identifier: Apache-2.0
//
// Reads CORBA's common data representation from bytes that nobody has looked at yet: whatever they
// hold, nothing beyond them is read.
//
// Thread safety: one thread. Invariant: once something was not there, fault() stays true and every
// further value is zero or empty.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace auxin::checkpoint {

class CdrReader {
 public:
  // Values are aligned from the first of `bytes`.
  CdrReader(std::span<const uint8_t> bytes, bool little_endian)
      : bytes_(bytes), little_endian_(little_endian) {}

  bool fault() const { return fault_; }
  uint64_t position() const { return at_; }
  void skip(uint64_t size_bytes) { take(size_bytes); }

  uint8_t octet() {
    const auto one = take(1);
    return fault_ ? uint8_t{0} : one[0];
  }
  uint16_t two_octets() { return static_cast<uint16_t>(number(2)); }
  uint32_t four_octets() { return static_cast<uint32_t>(number(4)); }

  std::span<const uint8_t> octets() { return take(four_octets()); }

  // With its closing NUL on the wire, without it here.
  std::string text() {
    const auto characters = octets();
    if (characters.empty() || characters.back() != 0) fault_ = true;
    if (fault_) return {};
    return std::string(characters.begin(), characters.end() - 1);
  }

 private:
  uint64_t number(uint64_t size_bytes) {
    take((size_bytes - at_ % size_bytes) % size_bytes);
    const auto taken = take(size_bytes);
    uint64_t value = 0;
    for (uint64_t i = 0; i < taken.size(); ++i)
      value = value << 8 | taken[little_endian_ ? size_bytes - 1 - i : i];
    return value;
  }
  std::span<const uint8_t> take(uint64_t size_bytes) {
    if (fault_ || size_bytes > bytes_.size() - at_) {
      fault_ = true;
      return {};
    }
    const auto taken = bytes_.subspan(at_, size_bytes);
    at_ += size_bytes;
    return taken;
  }

  std::span<const uint8_t> bytes_;
  bool little_endian_;
  uint64_t at_ = 0;
  bool fault_ = false;
};

}  // namespace auxin::checkpoint
