// SPDX-License-Identifier: Apache-2.0
//
// Goal: no bytes make the reader of portable images read beyond them, also where their checksums
// are right, and what it accepts is what would be written.
// Method: the checksums of damaged images are made right again, so that counts and lengths are what
// is tried. Built twice: as a libFuzzer target (AUXIN_LIBFUZZER), and as a short seeded test
// (AUXIN_SEED).
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "checkpoint/message/checksum.h"
#include "checkpoint/portable/portable_image.h"

#ifndef AUXIN_LIBFUZZER
#include <gtest/gtest.h>
#endif

namespace auxin::checkpoint {
namespace {

using Bytes = std::vector<uint8_t>;

// checkpoint/FORMAT.md: where sizes and checksums stand.
constexpr size_t kSizeAt = 8, kHeaderChecksumAt = 40, kHeaderBytes = 48, kCommitBytes = 16;

void put_number(Bytes* bytes, size_t at, uint64_t value) {
  std::memcpy(bytes->data() + at, &value, sizeof(value));
}

// False: too short for an image.
bool make_checksums_right(Bytes* bytes) {
  if (bytes->size() < kHeaderBytes + kCommitBytes) return false;
  put_number(bytes, kSizeAt, bytes->size());
  put_number(bytes, kHeaderChecksumAt, checksum_of(bytes->data(), kHeaderChecksumAt));
  const size_t content_bytes = bytes->size() - kCommitBytes;
  put_number(bytes, content_bytes + 8, checksum_of(bytes->data(), content_bytes));
  return true;
}

// Null, or what is wrong.
const char* fault_with(const Bytes& bytes, bool* accepted) {
  auto image = decode_portable_image(bytes);
  *accepted = static_cast<bool>(image);
  if (!image) return image.error().empty() ? "no sentence" : nullptr;
  return encode_portable_image(*image) == bytes ? nullptr : "it would be written otherwise";
}

}  // namespace
}  // namespace auxin::checkpoint

#ifdef AUXIN_LIBFUZZER

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace auxin::checkpoint;
  bool accepted = false;
  Bytes bytes(data, data + size);
  const char* what = fault_with(bytes, &accepted);
  if (what == nullptr && make_checksums_right(&bytes)) what = fault_with(bytes, &accepted);
  if (what != nullptr) {
    std::fprintf(stderr, "%s\n", what);
    std::abort();
  }
  return 0;
}

#else

namespace auxin::checkpoint {
namespace {

Bytes random_image(std::mt19937_64& random) {
  PortableImage image;
  image.made_realtime_ns = random();
  image.lineage = random();
  for (uint64_t objects = random() % 4; objects > 0; --objects) {
    PortableObject object;
    object.reference = std::string(random() % 20, 'r');
    object.repository_id = std::string(random() % 20, 'i');
    object.state = Bytes(random() % 40, 7);
    for (uint64_t updates = random() % 3; updates > 0; --updates)
      object.updates.emplace_back(random() % 10);
    image.objects.push_back(std::move(object));
  }
  return encode_portable_image(image);
}

TEST(PortableImageFuzz, WrongCountsAndLengthsAreRefusedOrMeanWhatTheySay) {
  const char* text = std::getenv("AUXIN_SEED");
  const uint64_t first_seed =
      text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
  std::printf("AUXIN_SEED=%llu\n", static_cast<unsigned long long>(first_seed));
  uint64_t accepted_count = 0, refused_count = 0;
  for (uint64_t round = 0; round < 20000; ++round) {
    std::mt19937_64 random(first_seed + round);
    Bytes bytes = random_image(random);
    for (uint64_t n = random() % 4; n > 0; --n) {
      const uint64_t value = random() % 3 == 0 ? random() : random() % 64;
      bytes[random() % bytes.size()] = static_cast<uint8_t>(value);
    }
    if (random() % 5 == 0) bytes.resize(bytes.size() - random() % 20);
    make_checksums_right(&bytes);
    bytes.shrink_to_fit();  // so that the address sanitizer sees any read beyond them
    bool accepted = false;
    const char* what = fault_with(bytes, &accepted);
    ASSERT_EQ(what, nullptr) << what << ", round " << round << " from seed " << first_seed;
    ++(accepted ? accepted_count : refused_count);
  }
  // The inputs were worth it: both outcomes occurred often.
  EXPECT_GT(accepted_count, 2000u);
  EXPECT_GT(refused_count, 2000u);
}

}  // namespace
}  // namespace auxin::checkpoint

#endif
