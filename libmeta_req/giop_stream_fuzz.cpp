// SPDX-License-Identifier: Apache-2.0
//
// Goal: no sequence of bytes and no cutting into chunks makes GiopStream report anything but what
// a plain parser with the whole stream in its hands finds.
// Method: a reference parser over the whole buffer (indices, no states) gives the expected events
// with their offsets; the stream is fed in chunks that the input itself chooses. Built twice: as a
// libFuzzer target (AUXIN_LIBFUZZER), and as a short seeded test (AUXIN_SEED) whose inputs are
// random messages with random damage.
#include "libmeta_req/giop_stream.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <tuple>
#include <vector>

#ifndef AUXIN_LIBFUZZER
#include <gtest/gtest.h>
#endif

namespace auxin::req {
namespace {

// begins?, offset at the event, begin, type, minor, flags, id, size
using Event = std::tuple<bool, uint64_t, uint64_t, int, int, int, uint32_t, uint32_t>;

Event event_of(bool begins, uint64_t at, const GiopMessage& m) {
  const int flags = (m.little_endian ? 1 : 0) | (m.more_fragments ? 2 : 0) |
                    (m.id_known ? 4 : 0) | (m.malformed ? 8 : 0);
  return {begins, at, m.begin_offset, static_cast<int>(m.type), m.minor, flags,
          m.id_known ? m.request_id : 0, m.body_size_bytes};
}

struct Parsed {
  std::vector<Event> events;
  bool not_giop = false;
};

// The reference: `size` bytes are all there is; a position beyond them is an event not yet seen.
class ReferenceParser {
 public:
  ReferenceParser(const uint8_t* data, uint64_t size) : data_(data), size_(size) {}

  Parsed parse() {
    Parsed result;
    for (uint64_t at = 0; at < size_;) {
      if (!header_is_plausible(at)) {
        result.not_giop = true;
        return result;
      }
      if (at + 12 > size_) return result;
      GiopMessage m{};
      m.type = static_cast<GiopType>(data_[at + 7]);
      m.major = 1;
      m.minor = data_[at + 5];
      m.little_endian = data_[at + 6] & 1;
      m.more_fragments = m.minor > 0 && (data_[at + 6] & 2);
      little_endian_ = m.little_endian;
      m.body_size_bytes = u32(at + 8);
      m.begin_offset = at;
      const uint64_t end = at + 12 + m.body_size_bytes;
      uint64_t known_at = 0;
      if (!find_id(m, at + 12, end, known_at)) return result;
      result.events.push_back(event_of(true, known_at, m));
      if (end > size_) return result;
      result.events.push_back(event_of(false, end, m));
      at = end;
    }
    return result;
  }

 private:
  bool header_is_plausible(uint64_t at) const {
    static const char kMagic[] = "GIOP\1";
    for (uint64_t i = 0; i < 8 && at + i < size_; ++i) {
      const uint8_t byte = data_[at + i];
      if (i < 5 && byte != static_cast<uint8_t>(kMagic[i])) return false;
      if (i == 5 && byte > 2) return false;
      if (i == 7 && byte > 7) return false;
    }
    return true;
  }
  uint32_t u32(uint64_t at) const {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | data_[at + (little_endian_ ? 3 - i : i)];
    return value;
  }
  // False: the bytes that tell are not there yet.
  bool find_id(GiopMessage& m, uint64_t at, uint64_t end, uint64_t& known_at) const {
    known_at = at;
    const bool is_call = m.type == GiopType::kRequest || m.type == GiopType::kReply;
    if (m.type == GiopType::kCloseConnection || m.type == GiopType::kMessageError) return true;
    if (m.type == GiopType::kFragment && m.minor == 1) return true;
    if (m.type == GiopType::kFragment && m.minor == 0) return m.malformed = true;
    if (is_call && m.minor < 2) {
      if (at + 8 > end) return m.malformed = true;
      if (at + 4 > size_) return false;
      const uint64_t count = u32(at);
      at += 4;
      known_at = at;
      if (at + 8 * count + 4 > end) return m.malformed = true;
      for (uint64_t i = 0; i < count; ++i) {
        if (at + 8 > size_) return false;
        const uint64_t length = u32(at + 4);
        at += 8;
        known_at = at;
        at += (length + 3) / 4 * 4;
        if (at + 8 * (count - i - 1) + 4 > end) return m.malformed = true;
        if (at > size_) return false;
      }
    } else if (at + 4 > end) {
      return m.malformed = true;
    }
    if (at + 4 > size_) return false;
    m.id_known = true;
    m.request_id = u32(at);
    known_at = at + 4;
    return true;
  }

  const uint8_t* data_;
  uint64_t size_;
  bool little_endian_ = false;
};

struct Recorder {
  GiopStream stream;
  std::vector<Event> events;

  template <typename NextChunkSize>
  void feed(const uint8_t* data, size_t size, NextChunkSize next_chunk_size) {
    const GiopStream::Events callbacks{
        this,
        [](void* self, const GiopMessage& m) { static_cast<Recorder*>(self)->add(true, m); },
        [](void* self, const GiopMessage& m) { static_cast<Recorder*>(self)->add(false, m); }};
    for (size_t at = 0; at < size;) {
      const size_t chunk = std::min<size_t>(size - at, next_chunk_size());
      // A copy of its own, so that the address sanitizer sees any read beyond the chunk.
      const std::vector<uint8_t> copy(data + at, data + at + chunk);
      stream.feed(copy.data(), chunk, callbacks);
      at += chunk;
    }
  }
  void add(bool begins, const GiopMessage& m) {
    events.push_back(event_of(begins, stream.offset(), m));
  }
};

// Null, or what is wrong.
const char* disagreement(const uint8_t* data, size_t size, uint64_t chunk_seed) {
  const Parsed expected = ReferenceParser(data, size).parse();
  std::minstd_rand chunks(static_cast<uint32_t>(chunk_seed % 0x7ffffffe + 1));
  Recorder chunked;
  chunked.feed(data, size, [&] { return chunks() % 23 + 1; });
  Recorder whole;
  whole.feed(data, size, [&] { return size; });
  if (whole.events != expected.events) return "whole: other events than the reference";
  if (chunked.events != expected.events) return "chunked: other events than the reference";
  if (whole.stream.not_giop() != expected.not_giop) return "whole: not_giop differs";
  if (chunked.stream.not_giop() != expected.not_giop) return "chunked: not_giop differs";
  if (whole.stream.offset() != size || chunked.stream.offset() != size) return "offset differs";
  return nullptr;
}

}  // namespace
}  // namespace auxin::req

#ifdef AUXIN_LIBFUZZER

// The first byte of the input chooses the chunks.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  if (const char* what = auxin::req::disagreement(data + 1, size - 1, data[0])) {
    std::fprintf(stderr, "%s\n", what);
    std::abort();
  }
  return 0;
}

#else

namespace auxin::req {
namespace {

// A message of a random type and version, mostly well-formed, sometimes with a wrong length.
void append_random_message(std::vector<uint8_t>& bytes, std::mt19937_64& random) {
  const bool little_endian = random() % 2;
  const uint8_t minor = random() % 3;
  const uint8_t type = random() % 8;
  std::vector<uint8_t> body;
  const auto u32 = [&](std::vector<uint8_t>& to, uint32_t value) {
    for (int i = 0; i < 4; ++i) to.push_back(value >> (little_endian ? 8 * i : 24 - 8 * i) & 0xff);
  };
  if (type < 2 && minor < 2) {
    const uint32_t count = random() % 5;
    u32(body, random() % 20 == 0 ? static_cast<uint32_t>(random()) : count);
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t length = random() % 12;
      u32(body, 1);
      u32(body, random() % 20 == 0 ? static_cast<uint32_t>(random() >> random() % 64) : length);
      body.resize(body.size() + (length + 3) / 4 * 4);
    }
  }
  const uint64_t tail = random() % 40;
  for (uint64_t i = 0; i < tail; ++i) body.push_back(static_cast<uint8_t>(random()));
  const uint8_t header[8] = {'G', 'I', 'O', 'P', 1, minor,
                             static_cast<uint8_t>((random() % 2) * 2 | (little_endian ? 1 : 0)),
                             type};
  bytes.insert(bytes.end(), header, header + 8);
  u32(bytes, static_cast<uint32_t>(body.size()));
  bytes.insert(bytes.end(), body.begin(), body.end());
}

TEST(GiopStreamFuzz, AgreesWithAPlainParserOnRandomStreams) {
  const char* text = std::getenv("AUXIN_SEED");
  const uint64_t first_seed =
      text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
  std::printf("AUXIN_SEED=%llu\n", static_cast<unsigned long long>(first_seed));
  uint64_t event_count = 0, malformed_count = 0, not_giop_count = 0;
  for (uint64_t round = 0; round < 20000; ++round) {
    std::mt19937_64 random(first_seed + round);
    std::vector<uint8_t> bytes;
    for (uint64_t n = random() % 8; n > 0; --n) append_random_message(bytes, random);
    if (!bytes.empty() && random() % 3 == 0) bytes.resize(random() % bytes.size());
    for (uint64_t n = random() % 8; n > 5 && !bytes.empty(); --n) {
      bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    }
    const char* what = disagreement(bytes.data(), bytes.size(), random());
    ASSERT_EQ(what, nullptr) << what << ", round " << round << " from seed " << first_seed;
    const Parsed parsed = ReferenceParser(bytes.data(), bytes.size()).parse();
    event_count += parsed.events.size();
    not_giop_count += parsed.not_giop;
    for (const Event& event : parsed.events) malformed_count += (std::get<5>(event) & 8) != 0;
  }
  // The inputs were worth it: all three outcomes occurred often.
  EXPECT_GT(event_count, 50000u);
  EXPECT_GT(malformed_count, 1000u);
  EXPECT_GT(not_giop_count, 500u);
}

}  // namespace
}  // namespace auxin::req

#endif
