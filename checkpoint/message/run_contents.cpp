// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/message/run_contents.h"

#include <lz4.h>

#include <cstring>

#include "checkpoint/message/checksum.h"

namespace auxin::checkpoint {
namespace {

char* chars(uint8_t* bytes) { return reinterpret_cast<char*>(bytes); }
const char* chars(const uint8_t* bytes) { return reinterpret_cast<const char*>(bytes); }

}  // namespace

bool unpack(const RunRecord& run, const uint8_t* stored, uint8_t* to) {
  switch (static_cast<Encoding>(run.encoding)) {
    case Encoding::kZeros: std::memset(to, 0, run.length); return true;
    case Encoding::kRaw: std::memcpy(to, stored, run.length); return true;
    case Encoding::kLz4:
      return LZ4_decompress_safe(chars(stored), chars(to), static_cast<int>(run.stored_bytes),
                                 static_cast<int>(run.length)) == static_cast<int>(run.length);
  }
  return false;
}

bool contents_are_good(const RunRecord& run, const uint8_t* stored, bool with_checksum,
                       uint8_t* scratch) {
  switch (static_cast<Encoding>(run.encoding)) {
    case Encoding::kZeros: return true;
    case Encoding::kRaw:
      return !with_checksum || checksum_of(stored, run.length) == run.checksum;
    case Encoding::kLz4:
      return unpack(run, stored, scratch) &&
             (!with_checksum || checksum_of(scratch, run.length) == run.checksum);
  }
  return false;
}

uint32_t pack_lz4(const uint8_t* contents, uint32_t length, uint8_t* to) {
  if (length < 2) return 0;
  const int packed = LZ4_compress_default(chars(contents), chars(to), static_cast<int>(length),
                                          static_cast<int>(length - 1));
  return packed > 0 ? static_cast<uint32_t>(packed) : 0;
}

}  // namespace auxin::checkpoint
