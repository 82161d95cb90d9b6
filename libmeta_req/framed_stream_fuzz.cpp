// SPDX-License-Identifier: Apache-2.0
//
// Goal: no framing, no sequence of bytes and no cutting into chunks makes FramedStream report
// anything but what a plain parser with the whole stream in its hands finds.
// Method: a reference parser over the whole buffer gives the expected events with their offsets.
// Built twice: as a libFuzzer target (AUXIN_LIBFUZZER), where the input also chooses the framing,
// and as a short seeded test (AUXIN_SEED).
#include "libmeta_req/framed_stream.h"

#include <cstdio>
#include <cstdlib>
#include <random>
#include <tuple>
#include <vector>

#ifndef AUXIN_LIBFUZZER
#include <gtest/gtest.h>
#endif

namespace auxin::req {
namespace {

using markers::Framing;

// begins?, offset at the event, kind, id
using Event = std::tuple<bool, uint64_t, int, uint32_t>;

struct Parsed {
  std::vector<Event> events;
  bool opaque = false;
};

uint64_t field(const Framing& framing, const uint8_t* from, uint32_t size) {
  uint64_t value = 0;
  for (uint32_t i = 0; i < size; ++i) {
    value |= uint64_t{from[i]} << 8 * (framing.little_endian ? i : size - 1 - i);
  }
  return value;
}

Parsed parse(const Framing& framing, const uint8_t* data, uint64_t size) {
  Parsed result;
  const uint64_t header = framing.header_bytes();
  for (uint64_t at = 0; at + framing.length_at + framing.length_bytes <= size;) {
    const __int128 length = static_cast<__int128>(field(framing, data + at + framing.length_at,
                                                        framing.length_bytes)) +
                            framing.length_adds;
    const __int128 end = at + length;
    if (length < framing.length_at + framing.length_bytes || end > __int128{~uint64_t{0}}) {
      result.opaque = true;
      return result;
    }
    const uint64_t have = length < static_cast<__int128>(header) ? static_cast<uint64_t>(length)
                                                                 : header;
    if (at + have > size) return result;
    FramedMessage message{FramedMessage::Kind::kOther, 0};
    if (framing.kind_at + framing.kind_bytes <= have && framing.id_at + framing.id_bytes <= have) {
      const uint64_t kind = field(framing, data + at + framing.kind_at, framing.kind_bytes);
      if (framing.is_request(kind)) message.kind = FramedMessage::Kind::kRequest;
      if (framing.is_reply(kind)) message.kind = FramedMessage::Kind::kReply;
      message.id = static_cast<uint32_t>(field(framing, data + at + framing.id_at,
                                               framing.id_bytes));
    }
    result.events.emplace_back(true, at + have, static_cast<int>(message.kind), message.id);
    if (end > size) return result;
    at = static_cast<uint64_t>(end);
    result.events.emplace_back(false, at, static_cast<int>(message.kind), message.id);
  }
  return result;
}

struct Recorder {
  FramedStream stream;
  std::vector<Event> events;

  template <typename NextChunkSize>
  void feed(const Framing& framing, const uint8_t* data, size_t size, NextChunkSize next_size) {
    const FramedStream::Events callbacks{
        this,
        [](void* self, const FramedMessage& m) { static_cast<Recorder*>(self)->add(true, m); },
        [](void* self, const FramedMessage& m) { static_cast<Recorder*>(self)->add(false, m); }};
    for (size_t at = 0; at < size;) {
      const size_t chunk = std::min<size_t>(size - at, next_size());
      // A copy of its own, so that the address sanitizer sees any read beyond the chunk.
      const std::vector<uint8_t> copy(data + at, data + at + chunk);
      stream.feed(framing, copy.data(), chunk, callbacks);
      at += chunk;
    }
  }
  void add(bool begins, const FramedMessage& m) {
    events.emplace_back(begins, stream.offset(), static_cast<int>(m.kind), m.id);
  }
};

Framing random_framing(std::minstd_rand& random) {
  constexpr uint32_t kSizes[] = {1, 2, 4, 8};
  Framing framing;
  framing.length_at = random() % 20;
  framing.length_bytes = kSizes[random() % 4];
  framing.length_adds = static_cast<int64_t>(random() % 40) - 15;
  framing.kind_at = random() % 20;
  framing.kind_bytes = kSizes[random() % 2];
  framing.id_at = random() % 20;
  framing.id_bytes = kSizes[random() % 4];
  framing.little_endian = random() % 2;
  framing.requests = {1, 3};
  framing.replies = {2};
  return framing;
}

// Null, or what is wrong.
const char* disagreement(const Framing& framing, const uint8_t* data, size_t size,
                         std::minstd_rand& random) {
  const Parsed expected = parse(framing, data, size);
  Recorder chunked;
  chunked.feed(framing, data, size, [&] { return random() % 9 + 1; });
  Recorder whole;
  whole.feed(framing, data, size, [&] { return size; });
  if (whole.events != expected.events) return "whole: other events than the reference";
  if (chunked.events != expected.events) return "chunked: other events than the reference";
  if (whole.stream.opaque() != expected.opaque) return "whole: opaque differs";
  if (chunked.stream.opaque() != expected.opaque) return "chunked: opaque differs";
  if (whole.stream.offset() != size || chunked.stream.offset() != size) return "offset differs";
  return nullptr;
}

}  // namespace
}  // namespace auxin::req

#ifdef AUXIN_LIBFUZZER

// The first two bytes of the input choose framing and chunks.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace auxin::req;
  if (size < 2) return 0;
  std::minstd_rand random(data[0] * 256u + data[1] + 1);
  const Framing framing = random_framing(random);
  if (const char* what = disagreement(framing, data + 2, size - 2, random)) {
    std::fprintf(stderr, "%s\n", what);
    std::abort();
  }
  return 0;
}

#else

namespace auxin::req {
namespace {

void put(const Framing& framing, std::vector<uint8_t>& message, uint32_t at, uint32_t size,
         uint64_t value) {
  for (uint32_t i = 0; i < size && at + i < message.size(); ++i) {
    const uint32_t shift = 8 * (framing.little_endian ? i : size - 1 - i);
    message[at + i] = static_cast<uint8_t>(value >> shift);
  }
}

TEST(FramedStreamFuzz, AgreesWithAPlainParserOnRandomStreams) {
  const char* text = std::getenv("AUXIN_SEED");
  const uint64_t first_seed =
      text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
  std::printf("AUXIN_SEED=%llu\n", static_cast<unsigned long long>(first_seed));
  uint64_t requests = 0, replies = 0, opaque = 0;
  for (uint64_t round = 0; round < 20000; ++round) {
    std::minstd_rand random(static_cast<uint32_t>((first_seed + round) % 0x7ffffffe + 1));
    const Framing framing = random_framing(random);
    std::vector<uint8_t> bytes;
    for (uint64_t n = random() % 8; n > 0; --n) {
      // Now and then shorter than the header.
      const uint64_t least = framing.length_at + framing.length_bytes;
      std::vector<uint8_t> message(least + random() % 60);
      for (uint8_t& byte : message) byte = static_cast<uint8_t>(random());
      put(framing, message, framing.kind_at, framing.kind_bytes, random() % 5);
      const uint64_t size = random() % 16 == 0 ? random() % least : message.size();
      put(framing, message, framing.length_at, framing.length_bytes,
          size - static_cast<uint64_t>(framing.length_adds));
      bytes.insert(bytes.end(), message.begin(), message.end());
    }
    if (!bytes.empty() && random() % 3 == 0) bytes.resize(random() % bytes.size());
    for (uint64_t n = random() % 8; n > 5 && !bytes.empty(); --n) {
      bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    }
    const char* what = disagreement(framing, bytes.data(), bytes.size(), random);
    ASSERT_EQ(what, nullptr) << what << ", round " << round << " from seed " << first_seed;
    const Parsed parsed = parse(framing, bytes.data(), bytes.size());
    opaque += parsed.opaque;
    for (const Event& event : parsed.events) {
      requests += std::get<2>(event) == static_cast<int>(FramedMessage::Kind::kRequest);
      replies += std::get<2>(event) == static_cast<int>(FramedMessage::Kind::kReply);
    }
  }
  // The inputs were worth it: all outcomes occurred often.
  EXPECT_GT(requests, 10000u);
  EXPECT_GT(replies, 5000u);
  EXPECT_GT(opaque, 500u);
}

TEST(FramedStream, ALengthThatWrapsMakesItOpaque) {
  Framing framing;
  framing.length_bytes = framing.id_bytes = 8;
  framing.kind_bytes = 1;
  framing.kind_at = 8;
  framing.id_at = 9;
  framing.length_adds = 20;
  const std::vector<uint8_t> bytes(64, 0xff);
  FramedStream stream;
  stream.feed(framing, bytes.data(), bytes.size(), {});
  EXPECT_TRUE(stream.opaque());
  EXPECT_EQ(stream.offset(), bytes.size());
}

}  // namespace
}  // namespace auxin::req

#endif
