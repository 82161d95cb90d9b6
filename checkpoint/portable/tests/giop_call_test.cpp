// SPDX-License-Identifier: Apache-2.0
//
// Goal: requests are what the wire format says, and replies and references of every kind are told
// apart.
// Method: bytes written out by hand.
#include "checkpoint/portable/giop_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace auxin::checkpoint {
namespace {

using testing::HasSubstr;

// A reply of GIOP 1.0 whose numbers are little-endian and whose strings need no padding.
Octets reply(uint32_t request_id, uint32_t status, const Octets& body, uint8_t minor = 0) {
  Octets message = {'G', 'I', 'O', 'P', 1, minor, 1, 1};
  const auto put = [&](uint32_t value) {
    for (int i = 0; i < 4; ++i) message.push_back(static_cast<uint8_t>(value >> 8 * i));
  };
  put(static_cast<uint32_t>(12 + body.size()));
  put(0);
  put(request_id);
  put(status);
  message.insert(message.end(), body.begin(), body.end());
  return message;
}

TEST(GiopCall, ARequestHasItsFieldsInOrder) {
  const Octets expected = {'G', 'I', 'O', 'P', 1, 0, 1, 0, 40, 0, 0, 0,
                           0, 0, 0, 0,              // no contexts
                           5, 0, 0, 0,              // its number
                           1, 0, 0, 0,              // a reply, and padding
                           2, 0, 0, 0, 'K', 'y', 0, 0,
                           3, 0, 0, 0, 'o', 'p', 0, 0,
                           0, 0, 0, 0,              // no principal
                           1, 0, 0, 0, 7};
  Octets request = request_message(5, "Ky", "op", octets_parameter(Octets{7}));
  EXPECT_EQ(request[8], expected.size() - 12);
  request[8] = expected[8];
  EXPECT_EQ(request, expected);
}

TEST(GiopCall, ResultsAreTakenFromAReply) {
  const CallResult state = parse_reply(reply(5, 0, {3, 0, 0, 0, 'a', 'b', 'c'}), 5);
  ASSERT_EQ(state.status, CallStatus::kDone) << state.text;
  auto octets = octets_result(state);
  ASSERT_TRUE(octets) << octets.error();
  EXPECT_EQ(*octets, (Octets{'a', 'b', 'c'}));
  auto boolean = boolean_result(parse_reply(reply(5, 0, {1}), 5));
  ASSERT_TRUE(boolean);
  EXPECT_TRUE(*boolean);
}

TEST(GiopCall, AStateThatIsCutShortIsRefused) {
  const Octets body = {3, 0, 0, 0, 'a', 'b', 'c'};
  for (size_t size = 0; size < body.size(); ++size) {
    const CallResult call = parse_reply(reply(5, 0, {body.begin(), body.begin() + size}), 5);
    ASSERT_EQ(call.status, CallStatus::kDone);
    EXPECT_FALSE(octets_result(call)) << size;
  }
}

TEST(GiopCall, ExceptionsAreTakenByName) {
  const Octets name = {4, 0, 0, 0, 'I', 'D', 'L', 0};
  const CallResult user = parse_reply(reply(5, 1, name), 5);
  EXPECT_EQ(user.status, CallStatus::kUserException);
  EXPECT_EQ(user.exception, "IDL");
  EXPECT_EQ(parse_reply(reply(5, 2, name), 5).status, CallStatus::kSystemException);
  EXPECT_EQ(parse_reply(reply(5, 2, {4, 0, 0, 0, 'I'}), 5).status, CallStatus::kDamaged);
}

TEST(GiopCall, WhatIsNoReplyToTheRequestIsDamaged) {
  EXPECT_EQ(parse_reply(reply(6, 0, {}), 5).status, CallStatus::kDamaged);
  EXPECT_EQ(parse_reply(reply(5, 4, {}), 5).status, CallStatus::kDamaged);
  EXPECT_EQ(parse_reply(reply(5, 0, {}, 2), 5).status, CallStatus::kDamaged);
  Octets close = reply(5, 0, {});
  close[7] = 5;
  EXPECT_EQ(parse_reply(close, 5).status, CallStatus::kDamaged);
  const Octets whole = reply(5, 0, {});
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(parse_reply(std::span(whole).first(size), 5).status, CallStatus::kDamaged) << size;
}

TEST(GiopCall, AServerThatIsNotThereIsUnreachable) {
  const CallResult call = call_object({"127.0.0.1", 1, "x"}, "_is_a", text_parameter("y"), 1000);
  EXPECT_EQ(call.status, CallStatus::kUnreachable);
  EXPECT_THAT(call.text, HasSubstr("127.0.0.1:1"));
}

TEST(ObjectReference, LocationsAreUnderstood) {
  const ObjectReference bank = {"127.0.0.1", 4711, "Bank"};
  for (const char* text : {"corbaloc::127.0.0.1:4711/Bank", "corbaloc:iiop:127.0.0.1:4711/Bank",
                           "corbaloc::1.2@127.0.0.1:4711/Ban%6b"}) {
    auto parsed = parse_object_reference(text);
    ASSERT_TRUE(parsed) << parsed.error();
    EXPECT_EQ(*parsed, bank);
  }
  for (const char* text : {"corbaloc::[::1]:4711/Bank", "corbaloc::1.2@[::1]:4711/Bank"}) {
    auto parsed = parse_object_reference(text);
    ASSERT_TRUE(parsed) << parsed.error();
    EXPECT_EQ(*parsed, (ObjectReference{"::1", 4711, "Bank"}));
  }
  auto usual = parse_object_reference("corbaloc::host/%00");
  ASSERT_TRUE(usual);
  EXPECT_EQ(*usual, (ObjectReference{"host", 2809, std::string(1, '\0')}));
}

TEST(ObjectReference, WhatIsNoneIsRefused) {
  for (const char* text :
       {"", "Bank", "corbaloc::127.0.0.1:4711", "corbaloc::127.0.0.1:4711/", "corbaloc:ssliop:h/K",
        "corbaloc::h:0/K", "corbaloc::h:70000/K", "corbaloc::h:1x/K", "corbaloc::a,:b/K",
        "corbaloc::h/K%4", "corbaloc::h/K%zz", "corbaloc::/K", "corbaloc::[]/K",
        "corbaloc::[::1/K", "corbaloc::[::1]1:2/K", "corbaloc::::1:5/K", "IOR:", "IOR:0", "IOR:zz",
        "IOR:01000000", "file:/no/such/file", "corbaname::h#x"})
    EXPECT_FALSE(parse_object_reference(text)) << text;
}

TEST(ObjectReference, AnIorIsUnderstoodInBothByteOrders) {
  // Order, type "", one profile: tag 0, 17 bytes: order, version 1.2, host "h", port 258, key "K".
  for (const char* text : {"IOR:010000000100000000000000010000000000000011000000"
                           "010102000200000068000201010000004b",
                           "IOR:000000000000000100000000000000010000000000000011"
                           "000102000000000268000102000000014b"}) {
    auto parsed = parse_object_reference(text);
    ASSERT_TRUE(parsed) << parsed.error();
    EXPECT_EQ(*parsed, (ObjectReference{"h", 258, "K"}));
    const std::string whole(text);
    for (size_t size = 4; size < whole.size(); ++size)
      EXPECT_FALSE(parse_object_reference(whole.substr(0, size))) << size;
  }
}

}  // namespace
}  // namespace auxin::checkpoint
