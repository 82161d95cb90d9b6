// SPDX-License-Identifier: Apache-2.0
//
// HMAC-SHA-256 (FIPS 180-4, RFC 2104): who knows the secret can make it, nobody else.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "checkpoint/outcome.h"

namespace auxin::checkpoint {

using Digest = std::array<uint8_t, 32>;

Digest sha256(std::span<const uint8_t> bytes);
Digest keyed_digest(const std::string& secret, std::span<const uint8_t> bytes);
// In a time that does not depend on where they differ.
bool same_digest(const Digest& one, const uint8_t* other);

// What is in a secret's file, without a line end: at least 16 bytes, and nobody but the owner may
// read it. kWrongCall, kInputOutput.
Expected<std::string> read_secret(const std::string& path);

}  // namespace auxin::checkpoint
