// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever bytes come, a message is refused or applied within its regions; and messages that
// tell a history, applied one by one, merged in any grouping, or sent as pieces out of order, come
// to the same state as the history.
// Method: random histories against a plain map; random damage, also under checksums that were made
// right again. Built twice: as a libFuzzer target (AUXIN_LIBFUZZER), and as a short seeded test
// (AUXIN_SEED).
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "checkpoint/message/checksum.h"
#include "checkpoint/message/image.h"
#include "checkpoint/message/merge.h"
#include "checkpoint/message/piece.h"
#include "checkpoint/message/tests/message_history.h"

#ifndef AUXIN_LIBFUZZER
#include <gtest/gtest.h>
#endif

namespace auxin::checkpoint {
namespace {

constexpr uint64_t kMostImageBytes = 1 << 20;

// As a sender could who means harm: header and tables have good checksums whatever they say.
void mend(std::vector<uint8_t>& bytes) {
  if (bytes.size() < sizeof(MessageHeader)) bytes.resize(sizeof(MessageHeader));
  MessageHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  std::memcpy(header.magic, kMessageMagic, sizeof(kMessageMagic));
  header.version = kMessageVersion;
  header.header_bytes = sizeof(header);
  header.total_bytes = bytes.size();
  if (header.stored_bytes <= bytes.size() - sizeof(header)) {
    const uint64_t tables_at = sizeof(header) + header.stored_bytes;
    header.tables_checksum = checksum_of(bytes.data() + tables_at, bytes.size() - tables_at);
  }
  header.header_checksum = checksum_of(&header, offsetof(MessageHeader, header_checksum));
  std::memcpy(bytes.data(), &header, sizeof(header));
}

// Every reader of a message, over bytes of their own, so that a sanitizer sees what goes beyond.
bool read_all(std::span<const uint8_t> input) {
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  const Expected<MessageView> view = MessageView::of(bytes);
  if (!view) return false;
  Image image(kMostImageBytes);
  const bool applied = static_cast<bool>(image.apply(*view));
  if (Expected<ByteBuffer> twice = merge(*view, *view); twice) return false;  // can't follow itself
  return applied;
}

}  // namespace
}  // namespace auxin::checkpoint

#ifdef AUXIN_LIBFUZZER

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auxin::checkpoint::read_all({data, size});
  std::vector<uint8_t> bytes(data, data + size);
  auxin::checkpoint::mend(bytes);
  auxin::checkpoint::read_all(bytes);
  auxin::checkpoint::Assembly assembly(1 << 20);
  static_cast<void>(assembly.add({data, size}));
  return 0;
}

#else

namespace auxin::checkpoint {
namespace {

uint64_t first_seed() {
  const char* text = std::getenv("AUXIN_SEED");
  const uint64_t seed =
      text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
  std::printf("AUXIN_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

TEST(MessageFuzz, AnyGroupingOfAHistoryComesToTheSameState) {
  const uint64_t seed = first_seed();
  for (uint64_t round = 0; round < 1500; ++round) {
    test::MessageHistory history(seed + round);
    std::mt19937_64 random(seed ^ round << 20);
    std::vector<ByteBuffer> messages;
    messages.push_back(history.base());
    for (uint64_t n = random() % 8; n > 0; --n) messages.push_back(history.increment());

    Image one_by_one;
    for (const ByteBuffer& message : messages) {
      const Expected<MessageView> view = MessageView::of(message.view());
      ASSERT_TRUE(view) << view.outcome().sentence << ", seed " << seed + round;
      ASSERT_TRUE(one_by_one.apply(*view)) << "seed " << seed + round;
    }
    ASSERT_TRUE(test::equal(one_by_one, history.model())) << "seed " << seed + round;
    ASSERT_EQ(one_by_one.user_word(), history.sequence() * 3);

    // A receiver that has the first `have` messages gets the rest, merged in random pairs.
    const size_t have = random() % messages.size();
    Image receiver;
    for (size_t i = 0; i < have; ++i) {
      ASSERT_TRUE(receiver.apply(*MessageView::of(messages[i].view())));
    }
    messages.erase(messages.begin(), messages.begin() + static_cast<ptrdiff_t>(have));
    while (messages.size() > 1) {
      const size_t at = random() % (messages.size() - 1);
      Expected<ByteBuffer> merged = merge(*MessageView::of(messages[at].view()),
                                          *MessageView::of(messages[at + 1].view()));
      ASSERT_TRUE(merged) << merged.outcome().sentence << ", seed " << seed + round;
      messages[at] = std::move(*merged);
      messages.erase(messages.begin() + static_cast<ptrdiff_t>(at) + 1);
    }
    const Expected<MessageView> rest = MessageView::of(messages[0].view());
    ASSERT_TRUE(rest) << rest.outcome().sentence << ", seed " << seed + round;
    const Outcome applied = receiver.apply(*rest);
    ASSERT_TRUE(applied) << applied.sentence << ", seed " << seed + round;
    ASSERT_TRUE(test::equal(receiver, history.model())) << "seed " << seed + round;
  }
}

TEST(MessageFuzz, PiecesComeInAnyOrderTwiceAndDamaged) {
  const uint64_t seed = first_seed();
  for (uint64_t round = 0; round < 300; ++round) {
    test::MessageHistory history(seed + round);
    std::mt19937_64 random(seed ^ round << 20);
    const ByteBuffer message = history.base();
    const MessageView view = *MessageView::of(message.view());
    const uint32_t piece_bytes = kLeastPieceBytes + static_cast<uint32_t>(random() % 2000);
    const uint32_t count = piece_count(message.size(), piece_bytes);
    Assembly assembly(1 << 24);
    for (uint32_t turn = 0; !assembly.complete(); ++turn) {
      ASSERT_LT(turn, 100 * count) << "it gets on";
      const std::vector<uint32_t> missing = assembly.missing(4);
      const uint32_t index = missing.empty() || random() % 3 == 0
                                 ? static_cast<uint32_t>(random() % count)
                                 : missing[random() % missing.size()];
      ByteBuffer piece = std::move(*piece_of(view, piece_bytes, index));
      const bool harm = random() % 3 == 0;
      if (harm) piece.data()[random() % piece.size()] ^= static_cast<uint8_t>(1 << random() % 8);
      ASSERT_EQ(static_cast<bool>(assembly.add(piece.view())), !harm);
    }
    const Expected<ByteBuffer> whole = assembly.take();
    ASSERT_TRUE(whole) << whole.outcome().sentence;
    ASSERT_EQ(whole->size(), message.size());
    ASSERT_EQ(std::memcmp(whole->data(), message.data(), message.size()), 0);
  }
}

TEST(MessageFuzz, DamageIsRefusedAndLeavesTheReceiverAsItWas) {
  const uint64_t seed = first_seed();
  uint64_t refused = 0;
  for (uint64_t round = 0; round < 1500; ++round) {
    test::MessageHistory history(seed + round);
    std::mt19937_64 random(seed ^ round << 20);
    Image image(kMostImageBytes);
    const ByteBuffer base = history.base();
    ASSERT_TRUE(image.apply(*MessageView::of(base.view())));
    const test::Model before = history.model();
    const ByteBuffer good = history.increment();
    std::vector<uint8_t> bad(good.data(), good.data() + good.size());
    for (uint64_t n = random() % 3 + 1; n > 0; --n) {
      bad[random() % bad.size()] ^= static_cast<uint8_t>(1 << random() % 8);
    }
    if (random() % 8 == 0) bad.resize(random() % bad.size());
    if (bad.size() == good.size() && std::memcmp(bad.data(), good.data(), bad.size()) == 0) {
      continue;  // two flips of one bit
    }
    const bool mended = random() % 2 == 0;
    if (mended) mend(bad);
    const Expected<MessageView> view = MessageView::of(bad);
    if (view && image.apply(*view)) {
      // Without checksums of the contents, or with a header that was made to fit, it can't be seen.
      // Else the packed bytes say the same in another way.
      if (mended || !view->has_checksums()) continue;
      ASSERT_TRUE(test::equal(image, history.model())) << "seed " << seed + round;
      continue;
    }
    ++refused;
    ASSERT_TRUE(test::equal(image, before)) << "seed " << seed + round;
    ASSERT_TRUE(image.apply(*MessageView::of(good.view()))) << "seed " << seed + round;
    ASSERT_TRUE(test::equal(image, history.model())) << "seed " << seed + round;
  }
  EXPECT_GT(refused, 500u);
}

TEST(MessageFuzz, NoBytesMakeAReaderGoAstray) {
  const uint64_t seed = first_seed();
  uint64_t applied = 0;
  for (uint64_t round = 0; round < 20000; ++round) {
    std::mt19937_64 random(seed + round);
    test::MessageHistory history(seed + round / 16);
    ByteBuffer message = history.base();
    if (random() % 2 == 0) message = history.increment();
    std::vector<uint8_t> bytes(message.data(), message.data() + message.size());
    for (uint64_t n = random() % 6; n > 0; --n) {
      // Mostly in the tables and the header, and mostly numbers that are nearly right.
      const uint64_t at = random() % 2 == 0 ? random() % std::min<uint64_t>(bytes.size(), 128)
                                            : bytes.size() - 1 - random() % bytes.size() % 200;
      bytes[at] = random() % 2 == 0 ? static_cast<uint8_t>(random())
                                    : static_cast<uint8_t>(bytes[at] + random() % 3 - 1);
    }
    mend(bytes);
    applied += read_all(bytes);
  }
  EXPECT_GT(applied, 1000u);
}

}  // namespace
}  // namespace auxin::checkpoint

#endif
