// SPDX-License-Identifier: Apache-2.0
//
// Where a CORBA object is: its host, port and key.
//
// Thread safety: none needed.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "stmemu/result.h"

namespace auxin::checkpoint {

struct ObjectReference {
  std::string host;
  uint16_t port = 0;
  std::string key;  // any bytes

  bool operator==(const ObjectReference&) const = default;
};

// "corbaloc::HOST:PORT/KEY" (with a version before an @, and %xx in the key), "IOR:HEX", or
// "file:PATH" of a file that holds one of these. The error is one sentence.
Result<ObjectReference> parse_object_reference(const std::string& text);

// From the IOR that begins `at` bytes into `message`, by whose start it is aligned.
Result<ObjectReference> read_object_reference(std::span<const uint8_t> message, uint64_t at,
                                              bool little_endian);

}  // namespace auxin::checkpoint
