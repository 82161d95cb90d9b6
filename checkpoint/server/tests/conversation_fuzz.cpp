// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever bytes a peer says, a server ends the conversation or answers, within its limits,
// and keeps nothing but whole messages; a client whose server says anything ends with an error.
// Method: conversations written by a good client are changed (bits, lengths, order, ends) under
// checksums that are made right again, and said to the other side over a socket pair. Built twice:
// as a libFuzzer target (AUXIN_LIBFUZZER), and as a short seeded test (AUXIN_SEED).
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "checkpoint/message/checksum.h"
#include "checkpoint/message/message_writer.h"
#include "checkpoint/server/service.h"
#include "checkpoint/server/session.h"
#include "checkpoint/store/image_store.h"
#include "checkpoint/transport/handshake.h"

#ifndef AUXIN_LIBFUZZER
#include <gtest/gtest.h>
#endif

namespace auxin::checkpoint {
namespace {

using Bytes = std::vector<uint8_t>;
constexpr int kStallMs = 500;
constexpr uint64_t kMostBytes = 1 << 16;

ByteBuffer message_to(uint64_t sequence) {
  MessageWriter writer({1, sequence - 1, sequence, 0, 0}, MessageOptions{});
  const std::string contents(3000, static_cast<char>('a' + sequence));
  writer.begin_region(1, contents.size(), 0, sequence == 1 ? kWhole : 0u);
  writer.add_contents(0, contents.data(), contents.size());
  return std::move(*writer.finish());
}

// Header and payload of a frame with good checksums, whatever they say. `number`: its place.
void append_frame(Bytes* to, uint16_t kind, uint64_t number, const Bytes& payload) {
  FrameHeader header{};
  std::memcpy(header.magic, kFrameMagic, sizeof(kFrameMagic));
  header.version = kConversationVersion;
  header.kind = kind;
  header.length = static_cast<uint32_t>(payload.size());
  header.number = number;
  if (kind != static_cast<uint16_t>(FrameKind::kPiece)) {
    header.payload_checksum = checksum_of(payload.data(), payload.size());
  }
  header.header_checksum = checksum_of(&header, offsetof(FrameHeader, header_checksum));
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&header);
  to->insert(to->end(), bytes, bytes + sizeof(header));
  to->insert(to->end(), payload.begin(), payload.end());
}

template <typename Payload>
Bytes bytes_of(const Payload& payload) {
  Bytes bytes(sizeof(payload));
  std::memcpy(bytes.data(), &payload, sizeof(payload));
  return bytes;
}

// Says `said` to a session, and hears whatever it answers. What it kept is checked.
bool said_to_server(const Bytes& said, uint64_t* kept_sequence) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  MemoryStates states(kMostBytes, 4);
  PartialTransfers partials(kMostBytes, 2 * kMostBytes);
  ServiceOptions options;
  options.max_message_bytes = kMostBytes;
  options.idle_ms = kStallMs;
  std::thread server([&] {
    Connection connection(ends[0], kStallMs);
    Session(options, &states, &partials, &connection).run();
  });
  std::thread listener([&] {
    char heard[4096];
    while (read(ends[1], heard, sizeof(heard)) > 0) {
    }
  });
  for (size_t at = 0; at < said.size();) {
    const ssize_t put = send(ends[1], said.data() + at, said.size() - at, MSG_NOSIGNAL);
    if (put <= 0) break;
    at += static_cast<size_t>(put);
  }
  shutdown(ends[1], SHUT_WR);
  server.join();
  listener.join();
  close(ends[1]);
  Outcome outcome;
  const auto state = states.find("bank", false, &outcome);
  *kept_sequence = 0;
  if (state == nullptr) return true;
  const Image& image = static_cast<ImageStore&>(*state->store).image();
  *kept_sequence = image.position().sequence;
  uint64_t bytes = 0;
  for (const auto& [id, region] : image.regions()) bytes += region.bytes.size();
  return bytes <= kMostBytes;
}

// The same to a client that wants to put a message.
void said_to_client(const Bytes& said) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  std::thread client([&] {
    Connection connection(ends[0], kStallMs);
    FrameStream stream(connection);
    uint64_t max_message_bytes = 0;
    const ByteBuffer message = message_to(1);
    if (greet_server(stream, "", "bank", &max_message_bytes)) {
      static_cast<void>(offer_message(stream, *MessageView::of(message.view()), 256, nullptr));
    }
  });
  std::thread listener([&] {
    char heard[4096];
    while (read(ends[1], heard, sizeof(heard)) > 0) {
    }
  });
  for (size_t at = 0; at < said.size();) {
    const ssize_t put = send(ends[1], said.data() + at, said.size() - at, MSG_NOSIGNAL);
    if (put <= 0) break;
    at += static_cast<size_t>(put);
  }
  shutdown(ends[1], SHUT_WR);
  client.join();
  listener.join();
  close(ends[1]);
}

Bytes hello() {
  HelloPayload payload{};
  std::strcpy(payload.name, "bank");
  return bytes_of(payload);
}

}  // namespace
}  // namespace auxin::checkpoint

#ifdef AUXIN_LIBFUZZER

// The input is frames: kind, two bytes of length, payload.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace auxin::checkpoint;
  Bytes to_server, to_client;
  append_frame(&to_server, static_cast<uint16_t>(FrameKind::kHello), 0, hello());
  uint64_t number = 0;
  for (size_t at = 0; at + 3 <= size;) {
    const uint16_t kind = data[at] % (kLastFrameKind + 1);
    const size_t length = std::min<size_t>(data[at + 1] | data[at + 2] << 8, size - at - 3);
    const Bytes payload(data + at + 3, data + at + 3 + length);
    append_frame(&to_client, kind, number, payload);
    append_frame(&to_server, kind, ++number, payload);
    at += 3 + length;
  }
  uint64_t kept = 0;
  if (!said_to_server(to_server, &kept)) std::abort();
  said_to_client(to_client);
  return 0;
}

#else

namespace auxin::checkpoint {
namespace {

struct Said {
  uint16_t kind;
  Bytes payload;
};

// What a good client says that puts `count` messages.
std::vector<Said> good_conversation(uint64_t count) {
  std::vector<Said> said;
  said.push_back({static_cast<uint16_t>(FrameKind::kHello), hello()});
  for (uint64_t sequence = 1; sequence <= count; ++sequence) {
    const ByteBuffer bytes = message_to(sequence);
    const MessageView message = *MessageView::of(bytes.view());
    constexpr uint32_t kPiece = 512;  // few: nothing is asked for first
    const OfferPayload offer{message.digest(), bytes.size(), 1, sequence - 1,
                             sequence,         kPiece,       sequence == 1 ? 1u : 0u};
    said.push_back({static_cast<uint16_t>(FrameKind::kOffer), bytes_of(offer)});
    for (uint32_t i = 0; i < piece_count(bytes.size(), kPiece); ++i) {
      const ByteBuffer piece = std::move(*piece_of(message, kPiece, i));
      said.push_back({static_cast<uint16_t>(FrameKind::kPiece),
                      Bytes(piece.data(), piece.data() + piece.size())});
    }
    said.push_back({static_cast<uint16_t>(FrameKind::kReport), {}});
  }
  const PositionPayload position{0, 0, 512, 0};
  said.push_back({static_cast<uint16_t>(FrameKind::kRead), bytes_of(position)});
  return said;
}

Bytes written(const std::vector<Said>& said) {
  Bytes bytes;
  uint64_t number = 0;
  for (const Said& one : said) append_frame(&bytes, one.kind, number++, one.payload);
  return bytes;
}

void change(std::vector<Said>* said, std::mt19937_64& random) {
  const size_t at = random() % said->size();
  Said& one = (*said)[at];
  switch (random() % 6) {
    case 0: one.kind = static_cast<uint16_t>(random() % (kLastFrameKind + 2)); break;
    case 1:
      if (!one.payload.empty()) {
        one.payload[random() % one.payload.size()] ^= static_cast<uint8_t>(1 << random() % 8);
      }
      break;
    case 2: one.payload.resize(random() % 700); break;
    case 3: said->erase(said->begin() + static_cast<ptrdiff_t>(at)); break;
    case 4: said->insert(said->begin() + static_cast<ptrdiff_t>(random() % said->size()),
                         Said((*said)[at])); break;
    default: std::swap(one, (*said)[random() % said->size()]); break;
  }
  if (said->empty()) *said = good_conversation(1);
}

uint64_t first_seed() {
  const char* text = std::getenv("AUXIN_SEED");
  const uint64_t seed =
      text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
  std::printf("AUXIN_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

TEST(ConversationFuzz, AGoodConversationIsUnderstood) {
  uint64_t kept = 0;
  EXPECT_TRUE(said_to_server(written(good_conversation(3)), &kept));
  EXPECT_EQ(kept, 3u);
}

TEST(ConversationFuzz, NothingThatAClientSaysLeadsAServerAstray) {
  const uint64_t seed = first_seed();
  uint64_t ended_early = 0;
  for (uint64_t round = 0; round < 2000; ++round) {
    std::mt19937_64 random(seed + round);
    std::vector<Said> said = good_conversation(3);
    for (uint64_t n = random() % 3 + 1; n > 0; --n) change(&said, random);
    Bytes bytes = written(said);
    if (random() % 4 == 0) {  // under checksums that are not made right
      bytes[random() % bytes.size()] ^= static_cast<uint8_t>(1 << random() % 8);
    }
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    uint64_t kept = 0;
    ASSERT_TRUE(said_to_server(bytes, &kept)) << "seed " << seed + round;
    ASSERT_LE(kept, 3u) << "seed " << seed + round;
    ended_early += kept < 3;
  }
  EXPECT_GT(ended_early, 500u);
}

TEST(ConversationFuzz, NothingThatAServerSaysLeadsAClientAstray) {
  const uint64_t seed = first_seed();
  const ByteBuffer message = message_to(1);
  const uint64_t digest = MessageView::of(message.view())->digest();
  for (uint64_t round = 0; round < 2000; ++round) {
    std::mt19937_64 random(seed + round);
    WelcomePayload welcome{};
    welcome.max_message_bytes = kMostBytes;
    Bytes wanted = bytes_of(WantedPayload{digest, 1, 12});
    const Bytes range = bytes_of(PieceRange{0, 12});
    wanted.insert(wanted.end(), range.begin(), range.end());
    std::vector<Said> said = {
        {static_cast<uint16_t>(FrameKind::kChallenge), bytes_of(ChallengePayload{})},
        {static_cast<uint16_t>(FrameKind::kWelcome), bytes_of(welcome)},
        {static_cast<uint16_t>(FrameKind::kWanted), wanted},
        {static_cast<uint16_t>(FrameKind::kResult), bytes_of(ResultPayload{})}};
    for (uint64_t n = random() % 3 + 1; n > 0; --n) change(&said, random);
    said_to_client(written(said));  // it returns
  }
}

}  // namespace
}  // namespace auxin::checkpoint

#endif
