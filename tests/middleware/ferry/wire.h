// SPDX-License-Identifier: Apache-2.0
//
// What is on the wire: messages with a header of twelve bytes and a body of numbers and texts.
//
//   u32 length of what follows | u8 kind | u8 status | u16 0 | u32 id | body
//
// All numbers are big-endian. A request's body is the object's key, the operation, the arguments; a
// reply's the results. What comes from the network is checked: an Input never reads past its end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ferry {

enum class Kind : uint8_t { kRequest = 1, kReply = 2, kOneWay = 3 };

inline constexpr size_t kHeaderBytes = 12;
inline constexpr size_t kLengthBytes = 4;    // that the length field does not count
inline constexpr size_t kMostBytes = 1 << 20;  // of a whole message

struct Header {
  uint32_t length;
  uint8_t kind;
  uint8_t status;  // of a reply: 0 good
  uint32_t id;
};

// `bytes` has kHeaderBytes.
Header read_header(const char* bytes);
// The whole message.
std::string message(Kind kind, uint8_t status, uint32_t id, std::string_view body);

class Output {
 public:
  void number(int64_t value);
  void text(std::string_view value);  // at most 65535 bytes
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}
  // False: there is no more of it.
  bool number(int64_t* value);
  bool text(std::string* value);
  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
};

}  // namespace ferry
