// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever the chunks in which a stream arrives, GiopStream reports each message once, with
// the right id, at the byte at which it is known.
// Method: streams are assembled message by message with the expected events beside them, and fed
// whole, byte by byte and in random chunks (seed: AUXIN_SEED).
#include "libmeta_req/giop_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>
#include <string>
#include <vector>

namespace {
std::atomic<uint64_t> allocation_count{0};
}

[[gnu::noinline]] void* operator new(size_t size_bytes) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size_bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace auxin::req {
namespace {

using testing::ElementsAre;

uint64_t seed() {
  const char* text = std::getenv("AUXIN_SEED");
  const uint64_t value = text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
  std::printf("AUXIN_SEED=%llu\n", static_cast<unsigned long long>(value));
  return value;
}

// A GIOP message under construction, in either byte order.
class Message {
 public:
  Message(GiopType type, int minor, bool little_endian, bool more_fragments = false)
      : little_endian_(little_endian) {
    bytes_ = "GIOP";
    bytes_ += '\1';
    bytes_ += static_cast<char>(minor);
    bytes_ += static_cast<char>((little_endian ? 1 : 0) | (more_fragments ? 2 : 0));
    bytes_ += static_cast<char>(type);
    bytes_.append(4, '\0');
  }
  Message& u32(uint32_t value) {
    for (int i = 0; i < 4; ++i) {
      bytes_ += static_cast<char>(value >> (little_endian_ ? 8 * i : 24 - 8 * i));
    }
    return *this;
  }
  // A service context; its data is padded as CDR wants it.
  Message& service_context(uint32_t id, size_t size_bytes) {
    u32(id).u32(static_cast<uint32_t>(size_bytes));
    return fill((size_bytes + 3) & ~size_t{3});
  }
  Message& fill(size_t size_bytes) {
    bytes_.append(size_bytes, 'G');  // a G, so that bodies look like the start of a header
    return *this;
  }
  // The message, its size field set to what follows the header, or to `claimed_size_bytes`.
  std::string done() const { return claiming(static_cast<uint32_t>(bytes_.size() - 12)); }
  std::string claiming(uint32_t claimed_size_bytes) const {
    Message copy = *this;
    copy.bytes_.resize(8);
    copy.u32(claimed_size_bytes);
    return copy.bytes_ + bytes_.substr(12);
  }

 private:
  bool little_endian_;
  std::string bytes_;
};

// Feeds a stream and keeps its events as text: "+ type 1.minor id@offset" and "- …".
class Listener {
 public:
  void feed(const std::string& bytes) { stream_.feed(bytes.data(), bytes.size(), events_); }
  const std::vector<std::string>& log() const { return log_; }
  const std::vector<GiopMessage>& begun() const { return begun_; }
  const GiopStream& stream() const { return stream_; }

 private:
  void note(char sign, const GiopMessage& m) {
    static const char* const kNames[] = {"Request",     "Reply",           "CancelRequest",
                                         "LocateRequest", "LocateReply",   "CloseConnection",
                                         "MessageError",  "Fragment"};
    std::string text = std::string(1, sign) + kNames[static_cast<int>(m.type)] + " " +
                       std::to_string(m.major) + "." + std::to_string(m.minor) +
                       (m.little_endian ? " le" : " be") + (m.more_fragments ? " more" : "") +
                       (m.malformed ? " malformed" : "") + " id=" +
                       (m.id_known ? std::to_string(m.request_id) : "-") +
                       " size=" + std::to_string(m.body_size_bytes) +
                       " begin=" + std::to_string(m.begin_offset) + " at " +
                       std::to_string(stream_.offset());
    log_.push_back(text);
    if (sign == '+') begun_.push_back(m);
  }
  GiopStream stream_;
  std::vector<std::string> log_;
  std::vector<GiopMessage> begun_;
  GiopStream::Events events_{
      this,
      [](void* self, const GiopMessage& m) { static_cast<Listener*>(self)->note('+', m); },
      [](void* self, const GiopMessage& m) { static_cast<Listener*>(self)->note('-', m); }};
};

// The events of `bytes` fed whole; byte by byte and random chunks must give the same.
std::vector<std::string> events_of(const std::string& bytes) {
  Listener whole;
  whole.feed(bytes);
  Listener single;
  for (char byte : bytes) single.feed(std::string(1, byte));
  EXPECT_EQ(whole.log(), single.log()) << "byte by byte";
  static std::mt19937_64 random(seed());
  for (int round = 0; round < 50; ++round) {
    Listener chunked;
    for (size_t at = 0; at < bytes.size();) {
      const size_t size_bytes = std::min<size_t>(bytes.size() - at, random() % 40);
      chunked.feed(bytes.substr(at, size_bytes));
      at += size_bytes;
    }
    EXPECT_EQ(whole.log(), chunked.log()) << "random chunks, round " << round;
    EXPECT_EQ(chunked.stream().offset(), bytes.size());
    EXPECT_EQ(chunked.stream().not_giop(), whole.stream().not_giop());
    EXPECT_EQ(chunked.stream().between_messages(), whole.stream().between_messages());
  }
  EXPECT_EQ(whole.stream().offset(), bytes.size());
  return whole.log();
}

class GiopStreamInBothByteOrders : public testing::TestWithParam<bool> {
 protected:
  bool little_endian() const { return GetParam(); }
  std::string order() const { return GetParam() ? " le" : " be"; }
};
INSTANTIATE_TEST_SUITE_P(Orders, GiopStreamInBothByteOrders, testing::Bool(),
                         [](const auto& order) { return order.param ? "little" : "big"; });

TEST_P(GiopStreamInBothByteOrders, KnowsTheIdOfARequest12AfterSixteenBytes) {
  const std::string bytes =
      Message(GiopType::kRequest, 2, little_endian()).u32(0x01020304).fill(20).done();
  EXPECT_THAT(events_of(bytes),
              ElementsAre("+Request 1.2" + order() + " id=16909060 size=24 begin=0 at 16",
                          "-Request 1.2" + order() + " id=16909060 size=24 begin=0 at 36"));
}

TEST_P(GiopStreamInBothByteOrders, ReportsEveryTypeWithAnIdFirst) {
  for (int minor = 0; minor <= 2; ++minor) {
    for (GiopType type : {GiopType::kCancelRequest, GiopType::kLocateRequest,
                          GiopType::kLocateReply}) {
      Listener listener;
      listener.feed(Message(type, minor, little_endian()).u32(77).fill(3).done());
      ASSERT_EQ(listener.begun().size(), 1u);
      const GiopMessage& message = listener.begun()[0];
      EXPECT_EQ(message.type, type);
      EXPECT_EQ(message.minor, minor);
      EXPECT_EQ(message.little_endian, little_endian());
      EXPECT_TRUE(message.id_known);
      EXPECT_FALSE(message.malformed);
      EXPECT_EQ(message.request_id, 77u);
      EXPECT_TRUE(listener.stream().between_messages());
    }
  }
}

TEST_P(GiopStreamInBothByteOrders, SkipsServiceContextsBeforeTheIdOf10And11) {
  for (int minor = 0; minor <= 1; ++minor) {
    const std::string version = " 1." + std::to_string(minor) + order();
    const std::string bytes = Message(GiopType::kRequest, minor, little_endian())
                                  .u32(4)
                                  .service_context(1, 0)
                                  .service_context(2, 5)   // padded to 8
                                  .service_context(3, 8)
                                  .service_context(4, 1)   // the last one is padded too
                                  .u32(9)
                                  .fill(7)
                                  .done() +
                              Message(GiopType::kReply, minor, little_endian())
                                  .u32(0)
                                  .u32(10)
                                  .u32(0)
                                  .done();
    EXPECT_THAT(events_of(bytes),
                ElementsAre("+Request" + version + " id=9 size=67 begin=0 at 72",
                            "-Request" + version + " id=9 size=67 begin=0 at 79",
                            "+Reply" + version + " id=10 size=12 begin=79 at 99",
                            "-Reply" + version + " id=10 size=12 begin=79 at 103"));
  }
}

TEST_P(GiopStreamInBothByteOrders, TellsFragmentsFromFirstMessages) {
  const std::string bytes =
      Message(GiopType::kReply, 2, little_endian(), true).u32(5).fill(4).done() +
      Message(GiopType::kFragment, 2, little_endian(), true).u32(5).fill(8).done() +
      Message(GiopType::kFragment, 2, little_endian(), false).u32(5).done() +
      Message(GiopType::kRequest, 1, little_endian(), true).u32(0).u32(6).done() +
      Message(GiopType::kFragment, 1, little_endian(), false).fill(2).done() +
      Message(GiopType::kFragment, 1, little_endian(), false).done();
  EXPECT_THAT(events_of(bytes),
              ElementsAre("+Reply 1.2" + order() + " more id=5 size=8 begin=0 at 16",
                          "-Reply 1.2" + order() + " more id=5 size=8 begin=0 at 20",
                          "+Fragment 1.2" + order() + " more id=5 size=12 begin=20 at 36",
                          "-Fragment 1.2" + order() + " more id=5 size=12 begin=20 at 44",
                          "+Fragment 1.2" + order() + " id=5 size=4 begin=44 at 60",
                          "-Fragment 1.2" + order() + " id=5 size=4 begin=44 at 60",
                          "+Request 1.1" + order() + " more id=6 size=8 begin=60 at 80",
                          "-Request 1.1" + order() + " more id=6 size=8 begin=60 at 80",
                          "+Fragment 1.1" + order() + " id=- size=2 begin=80 at 92",
                          "-Fragment 1.1" + order() + " id=- size=2 begin=80 at 94",
                          "+Fragment 1.1" + order() + " id=- size=0 begin=94 at 106",
                          "-Fragment 1.1" + order() + " id=- size=0 begin=94 at 106"));
}

TEST(GiopStream, EndsMessagesWithoutABodyAtTheirHeader) {
  const std::string bytes = Message(GiopType::kCloseConnection, 2, true).done() +
                            Message(GiopType::kMessageError, 0, false).done();
  EXPECT_THAT(events_of(bytes), ElementsAre("+CloseConnection 1.2 le id=- size=0 begin=0 at 12",
                                            "-CloseConnection 1.2 le id=- size=0 begin=0 at 12",
                                            "+MessageError 1.0 be id=- size=0 begin=12 at 24",
                                            "-MessageError 1.0 be id=- size=0 begin=12 at 24"));
}

TEST(GiopStream, TakesEachMessagesOwnByteOrderAndVersion) {
  const std::string bytes = Message(GiopType::kRequest, 2, false).u32(1).done() +
                            Message(GiopType::kRequest, 0, true).u32(0).u32(2).done();
  EXPECT_THAT(events_of(bytes), ElementsAre("+Request 1.2 be id=1 size=4 begin=0 at 16",
                                            "-Request 1.2 be id=1 size=4 begin=0 at 16",
                                            "+Request 1.0 le id=2 size=8 begin=16 at 36",
                                            "-Request 1.0 le id=2 size=8 begin=16 at 36"));
}

TEST(GiopStream, ReadsBit1OfTheFlagsAsMoreFragmentsOnlyFrom11) {
  Listener listener;
  listener.feed(Message(GiopType::kRequest, 0, true, true).u32(0).u32(2).done());
  ASSERT_EQ(listener.begun().size(), 1u);
  EXPECT_FALSE(listener.begun()[0].more_fragments);
}

TEST(GiopStream, ReportsMalformedMessagesAndFindsTheNextOne) {
  const std::string good = Message(GiopType::kRequest, 2, true).u32(42).done();
  struct Case {
    const char* what;
    std::string bytes;
    uint64_t known_at;
  };
  const GiopType request = GiopType::kRequest;
  const std::vector<Case> cases = {
      {"1.2 request without an id", Message(request, 2, true).fill(3).done(), 12},
      {"1.2 request without a body", Message(request, 2, true).done(), 12},
      {"1.2 fragment without an id", Message(GiopType::kFragment, 2, true).fill(1).done(), 12},
      {"cancel without an id", Message(GiopType::kCancelRequest, 0, true).done(), 12},
      {"1.0 fragment", Message(GiopType::kFragment, 0, true).fill(16).done(), 12},
      {"1.0 request shorter than its count", Message(request, 0, true).fill(2).done(), 12},
      {"no room for the id after no contexts", Message(request, 1, true).u32(0).done(), 12},
      {"more contexts than fit", Message(request, 0, true).u32(2).fill(19).done(), 16},
      {"a count of 2^32 - 1", Message(request, 0, true).u32(0xffffffff).fill(40).done(), 16},
      {"a context longer than the message",
       Message(request, 0, true).u32(1).u32(7).u32(100).fill(50).done(), 24},
      {"a context of 4 GiB", Message(request, 1, true).u32(1).u32(7).u32(0xffffffff).fill(9).done(),
       24},
      {"a context that leaves no room for the id",
       Message(request, 0, true).u32(1).u32(7).u32(5).fill(11).done(), 24},
      {"the second context too long",
       Message(request, 0, true).u32(2).service_context(1, 4).u32(1).u32(9).fill(8).done(), 36},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const std::vector<std::string> log = events_of(c.bytes + good);
    ASSERT_EQ(log.size(), 4u);
    EXPECT_THAT(log[0], testing::HasSubstr(" malformed id=- "));
    EXPECT_THAT(log[0], testing::EndsWith(" at " + std::to_string(c.known_at)));
    EXPECT_THAT(log[1], testing::EndsWith(" at " + std::to_string(c.bytes.size())));
    EXPECT_THAT(log[2], testing::StartsWith("+Request 1.2 le id=42"));
  }
}

TEST(GiopStream, AcceptsContextsThatJustFit) {
  const std::string bytes =
      Message(GiopType::kRequest, 0, true).u32(1).service_context(7, 5).u32(3).done();
  EXPECT_THAT(events_of(bytes), ElementsAre("+Request 1.0 le id=3 size=24 begin=0 at 36",
                                            "-Request 1.0 le id=3 size=24 begin=0 at 36"));
}

TEST(GiopStream, IsNotGiopForEverAfterTheFirstWrongByte) {
  const std::string good = Message(GiopType::kRequest, 2, true).u32(1).done();
  const auto with = [&](size_t at, char byte) {
    std::string bad = good;
    bad[at] = byte;
    return bad;
  };
  for (const std::string& bad :
       {with(0, 'H'), with(3, 'Q'), with(4, 0), with(4, 2), with(5, 3), with(7, 8)}) {
    EXPECT_EQ(events_of(bad + good).size(), 0u);
    EXPECT_EQ(events_of(good + bad + good).size(), 2u);
    Listener listener;
    listener.feed(good + bad + good);
    EXPECT_TRUE(listener.stream().not_giop());
    EXPECT_FALSE(listener.stream().between_messages());
  }
}

TEST(GiopStream, RecognisesAnotherProtocolByItsFirstByte) {
  Listener listener;
  listener.feed("G");
  EXPECT_FALSE(listener.stream().not_giop());
  listener.feed("E");
  EXPECT_TRUE(listener.stream().not_giop());
}

TEST(GiopStream, IsBetweenMessagesOnlyAtTheirBoundaries) {
  const std::string message = Message(GiopType::kRequest, 1, true).u32(0).u32(1).fill(3).done();
  Listener listener;
  for (size_t i = 0; i < 2 * message.size(); ++i) {
    EXPECT_EQ(listener.stream().between_messages(), i % message.size() == 0) << i;
    listener.feed(message.substr(i % message.size(), 1));
  }
  EXPECT_TRUE(listener.stream().between_messages());
}

TEST(GiopStream, CountsABodyOf4GiBWithoutOverflow) {
  Listener listener;
  listener.feed(Message(GiopType::kRequest, 2, true).u32(8).claiming(0xffffffff));
  const std::string chunk(1 << 20, 'G');
  uint64_t left = 0xffffffffull - 4;
  while (left > chunk.size()) {
    listener.feed(chunk);
    left -= chunk.size();
  }
  listener.feed(chunk.substr(0, left - 1));
  EXPECT_EQ(listener.log().size(), 1u);
  EXPECT_FALSE(listener.stream().between_messages());
  listener.feed("G" + Message(GiopType::kCloseConnection, 2, true).done());
  EXPECT_THAT(listener.log(),
              ElementsAre("+Request 1.2 le id=8 size=4294967295 begin=0 at 16",
                          "-Request 1.2 le id=8 size=4294967295 begin=0 at 4294967307",
                          "+CloseConnection 1.2 le id=- size=0 begin=4294967307 at 4294967319",
                          "-CloseConnection 1.2 le id=- size=0 begin=4294967307 at 4294967319"));
}

TEST(GiopStream, SkipsAContextOf4GiBThatFits) {
  Listener listener;
  listener.feed(Message(GiopType::kReply, 1, true).u32(1).u32(2).u32(0xffffffe0).claiming(
      0xfffffff0));
  const std::string chunk(1 << 20, 'G');
  for (uint64_t left = 0xffffffe0; left > 0;) {
    const uint64_t size_bytes = std::min<uint64_t>(left, chunk.size());
    listener.feed(chunk.substr(0, size_bytes));
    left -= size_bytes;
  }
  EXPECT_EQ(listener.log().size(), 0u);
  listener.feed(std::string("\5\0\0\0", 4));
  ASSERT_EQ(listener.begun().size(), 1u);
  EXPECT_EQ(listener.begun()[0].request_id, 5u);
}

TEST(GiopStream, NeedsNoListeners) {
  GiopStream stream;
  const std::string bytes = Message(GiopType::kRequest, 2, true).u32(1).done();
  stream.feed(bytes.data(), bytes.size(), GiopStream::Events{});
  stream.feed(nullptr, 0, GiopStream::Events{});
  EXPECT_TRUE(stream.between_messages());
  EXPECT_EQ(stream.offset(), 16u);
}

TEST(GiopStream, StartsFromZeroedMemory) {
  alignas(GiopStream) unsigned char memory[sizeof(GiopStream)] = {};
  GiopStream stream;
  std::memcpy(static_cast<void*>(&stream), memory, sizeof memory);
  EXPECT_TRUE(stream.between_messages());
  EXPECT_FALSE(stream.not_giop());
  EXPECT_EQ(stream.offset(), 0u);
}

TEST(GiopStream, AllocatesNothing) {
  const std::string bytes =
      Message(GiopType::kRequest, 0, true).u32(1).service_context(1, 6).u32(1).done() +
      Message(GiopType::kReply, 2, false).u32(1).fill(500).done() + "not GIOP";
  int count = 0;
  const auto bump = [](void* context, const GiopMessage&) { ++*static_cast<int*>(context); };
  const uint64_t before = allocation_count.load();
  GiopStream stream;
  stream.feed(bytes.data(), bytes.size(), GiopStream::Events{&count, bump, bump});
  EXPECT_EQ(allocation_count.load(), before);
  EXPECT_EQ(count, 4);
}

}  // namespace
}  // namespace auxin::req
