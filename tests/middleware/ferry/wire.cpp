// SPDX-License-Identifier: Apache-2.0
#include "ferry/wire.h"

namespace ferry {
namespace {

void put(std::string& bytes, uint64_t value, int size) {
  for (int shift = 8 * (size - 1); shift >= 0; shift -= 8)
    bytes += static_cast<char>(value >> shift & 0xff);
}

uint64_t get(std::string_view bytes, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

Header read_header(const char* bytes) {
  const std::string_view view(bytes, kHeaderBytes);
  return {static_cast<uint32_t>(get(view, 4)), static_cast<uint8_t>(view[4]),
          static_cast<uint8_t>(view[5]), static_cast<uint32_t>(get(view.substr(8), 4))};
}

std::string message(Kind kind, uint8_t status, uint32_t id, std::string_view body) {
  std::string bytes;
  put(bytes, kHeaderBytes - kLengthBytes + body.size(), 4);
  put(bytes, static_cast<uint8_t>(kind), 1);
  put(bytes, status, 1);
  put(bytes, 0, 2);
  put(bytes, id, 4);
  bytes += body;
  return bytes;
}

void Output::number(int64_t value) { put(bytes_, static_cast<uint64_t>(value), 8); }

void Output::text(std::string_view value) {
  value = value.substr(0, 0xffff);
  put(bytes_, value.size(), 2);
  bytes_ += value;
}

bool Input::number(int64_t* value) {
  if (bytes_.size() < 8) return false;
  *value = static_cast<int64_t>(get(bytes_, 8));
  bytes_.remove_prefix(8);
  return true;
}

bool Input::text(std::string* value) {
  if (bytes_.size() < 2) return false;
  const size_t size = get(bytes_, 2);
  if (bytes_.size() - 2 < size) return false;
  value->assign(bytes_.substr(2, size));
  bytes_.remove_prefix(2 + size);
  return true;
}

}  // namespace ferry
