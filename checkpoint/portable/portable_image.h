// SPDX-License-Identifier: Apache-2.0
//
// A portable image: the states that objects of an application gave of themselves, in one file.
// FORMAT.md says what the bytes are.
//
// Thread safety: none. Invariant: a file is written beside the old one and takes its name when it
// is complete, so whoever opens the name has one whole image.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stmemu/result.h"

namespace auxin::checkpoint {

struct PortableObject {
  std::string reference;       // as the user gave it
  std::string repository_id;   // which of the two interfaces it has
  std::vector<uint8_t> state;  // of get_state
  std::vector<std::vector<uint8_t>> updates;  // of get_update, each since the one before
};

struct PortableImage {
  uint64_t made_realtime_ns = 0;
  uint64_t lineage = 0;  // of the group's life: updates of another one do not fit
  std::vector<PortableObject> objects;
};

std::vector<uint8_t> encode_portable_image(const PortableImage& image);
// The error is one sentence, without the file's name.
Result<PortableImage> decode_portable_image(std::span<const uint8_t> bytes);

// Durable when it returns; on an error the file is as it was.
Result<bool> write_portable_image(const std::string& path, const PortableImage& image);
Result<PortableImage> read_portable_image(const std::string& path);

uint64_t size_bytes_of(const PortableObject& object);

}  // namespace auxin::checkpoint
