// SPDX-License-Identifier: Apache-2.0
//
// Goal: no bytes make the parsers of replies and references read beyond them, and what they accept
// lies within what was given.
// Method: built twice, as a libFuzzer target (AUXIN_LIBFUZZER) and as a short seeded test
// (AUXIN_SEED) whose inputs are replies with random damage, each in a copy of its exact size.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "checkpoint/portable/giop_call.h"

#ifndef AUXIN_LIBFUZZER
#include <gtest/gtest.h>
#endif

namespace auxin::checkpoint {
namespace {

// Null, or what is wrong.
const char* fault_with(const Octets& bytes, CallStatus* status) {
  const CallResult call = parse_reply(bytes, 1);
  *status = call.status;
  if (call.status == CallStatus::kDone) {
    if (call.body_at + call.body.size() != bytes.size()) return "the body is not the message's end";
    if (auto octets = octets_result(call); octets && octets->size() > call.body.size())
      return "more octets than the body has";
  } else if (call.text.empty()) {
    return "no sentence";
  }
  if (call.exception.size() > bytes.size()) return "a longer name than the message";
  if (bytes.empty()) return nullptr;
  auto reference = read_object_reference(bytes, 1, (bytes[0] & 1) != 0);
  if (reference && reference->key.size() + reference->host.size() > bytes.size())
    return "a longer reference than its bytes";
  return nullptr;
}

}  // namespace
}  // namespace auxin::checkpoint

#ifdef AUXIN_LIBFUZZER

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auxin::checkpoint::CallStatus status;
  if (const char* what = auxin::checkpoint::fault_with({data, data + size}, &status)) {
    std::fprintf(stderr, "%s\n", what);
    std::abort();
  }
  return 0;
}

#else

namespace auxin::checkpoint {
namespace {

Octets random_reply(std::mt19937_64& random) {
  const bool little = random() % 2;
  Octets message = {'G', 'I', 'O', 'P', 1, 0, static_cast<uint8_t>(little), 1, 0, 0, 0, 0};
  const auto put = [&](uint32_t value) {
    for (int i = 0; i < 4; ++i)
      message.push_back(static_cast<uint8_t>(value >> 8 * (little ? i : 3 - i)));
  };
  const uint32_t contexts = random() % 3;
  put(contexts);
  for (uint32_t i = 0; i < contexts; ++i) {
    put(1);
    put(4);
    put(0);
  }
  put(1);
  put(random() % 4);
  const uint32_t length = random() % 9;
  put(length);
  for (uint32_t i = 0; i < length; ++i)
    message.push_back(i + 1 == length ? 0 : static_cast<uint8_t>(random()));
  const uint32_t size = static_cast<uint32_t>(message.size() - 12);
  for (int i = 0; i < 4; ++i)
    message[8 + i] = static_cast<uint8_t>(size >> 8 * (little ? i : 3 - i));
  return message;
}

TEST(GiopCallFuzz, RandomDamageIsSurvived) {
  const char* text = std::getenv("AUXIN_SEED");
  const uint64_t first_seed =
      text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
  std::printf("AUXIN_SEED=%llu\n", static_cast<unsigned long long>(first_seed));
  uint64_t counts[6] = {};
  for (uint64_t round = 0; round < 50000; ++round) {
    std::mt19937_64 random(first_seed + round);
    Octets bytes = random_reply(random);
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    for (uint64_t n = random() % 6; n > 3 && !bytes.empty(); --n)
      bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    bytes.shrink_to_fit();
    CallStatus status;
    const char* what = fault_with(bytes, &status);
    ASSERT_EQ(what, nullptr) << what << ", round " << round << " from seed " << first_seed;
    ++counts[static_cast<int>(status)];
  }
  // The inputs were worth it: the outcomes occurred often.
  EXPECT_GT(counts[static_cast<int>(CallStatus::kDone)], 1000u);
  EXPECT_GT(counts[static_cast<int>(CallStatus::kUserException)], 1000u);
  EXPECT_GT(counts[static_cast<int>(CallStatus::kDamaged)], 1000u);
}

}  // namespace
}  // namespace auxin::checkpoint

#endif
