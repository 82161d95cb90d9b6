// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/detection/self_test.h"

#include <sys/mman.h>

#include <cstring>

#include "checkpoint/detection/guarded_memory.h"
#include "checkpoint/detection/memory_access.h"
#include "checkpoint/message/checksum.h"
#include "checkpoint/message/image.h"
#include "checkpoint/message/run_contents.h"
#include "checkpoint/tracking/page_tracker.h"
#include "checkpoint/transport/keyed_digest.h"

namespace auxin::checkpoint {
namespace {

SelfTestPart part(const char* name, const char* fault) {
  return {name, true, fault == nullptr, fault == nullptr ? "" : fault};
}

// By the reference implementation of XXH3 (64 bits): of no bytes; and of more than vectors take.
const char* checksums() {
  std::string pattern(1000, '\0');
  for (size_t i = 0; i < pattern.size(); ++i) pattern[i] = static_cast<char>(i * 7);
  if (checksum_of("", 0) != 0x2d06800538d394c2u) return "the checksum of nothing is another one";
  if (checksum_of("abc", 3) != 0x78af5f94892f3950u) return "the checksum of abc is another one";
  return checksum_of(pattern.data(), pattern.size()) == 0x10ad30264426c830u
             ? nullptr
             : "the checksum of 1000 bytes is another one";
}

// A block of LZ4's format: 4 letters, then 96 more of the same from 4 before, then 5 letters.
const char* packing() {
  const uint8_t packed[] = {0x4f, 'a', 'b', 'c', 'd', 4, 0, 77, 0x50, 'a', 'b', 'c', 'd', 'a'};
  std::string right;
  for (int i = 0; i < 100; ++i) right += "abcd"[i % 4];
  right += "abcda";
  RunRecord run{};
  run.length = static_cast<uint32_t>(right.size());
  run.stored_bytes = sizeof packed;
  run.encoding = static_cast<uint16_t>(Encoding::kLz4);
  std::string unpacked(right.size(), '\0'), again(right.size(), '\0');
  uint8_t* to = reinterpret_cast<uint8_t*>(unpacked.data());
  if (!unpack(run, packed, to) || unpacked != right) return "a packed block is unpacked wrongly";
  run.stored_bytes = pack_lz4(reinterpret_cast<const uint8_t*>(right.data()), run.length,
                              reinterpret_cast<uint8_t*>(again.data()));
  std::memset(unpacked.data(), 0, unpacked.size());
  if (run.stored_bytes == 0 ||
      !unpack(run, reinterpret_cast<const uint8_t*>(again.data()), to) || unpacked != right) {
    return "what was packed is not unpacked again";
  }
  return nullptr;
}

// RFC 4231, test case 2.
const char* keyed_digests() {
  const std::string text = "what do ya want for nothing?";
  const uint8_t right[] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
                           0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
                           0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
  const Digest made =
      keyed_digest("Jefe", {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  return same_digest(made, right) ? nullptr : "a keyed digest is another one";
}

// A message is made and applied; with a bit turned in each of its bytes it is refused.
const char* messages() {
  MessageWriter writer({1, 0, 1, 7, 0}, MessageOptions{});
  writer.begin_region(1, 8, 0, kWhole);
  writer.add_contents(0, "contents", 8);
  Expected<ByteBuffer> message = writer.finish();
  if (!message) return "no message can be made";
  const auto accepted = [&](Image* image) {
    const Expected<MessageView> view = MessageView::of(message->view());
    return view && image->apply(*view);
  };
  Image image;
  if (!accepted(&image) || std::memcmp(image.region(1)->bytes.data(), "contents", 8) != 0) {
    return "an image is not what the message says";
  }
  for (uint64_t at = 0; at < message->size(); ++at) {
    message->data()[at] ^= 4;
    Image other;
    if (accepted(&other)) return "a message with a bit turned is accepted";
    message->data()[at] ^= 4;
  }
  return nullptr;
}

constexpr uint64_t kTrackedPages = 8;

struct Told {
  uint64_t pages = 0, first = 0;
};

Told look(PageTracker& tracker) {
  Told told;
  tracker.look({&told, [](void* to, const PageRun& run) {
                  Told& all = *static_cast<Told*>(to);
                  if (all.pages == 0) all.first = run.begin;
                  all.pages += run.bytes() / kPageBytes;
                }});
  return told;
}

// A store to a page must be told, by its page.
const char* tracked(PageTracker& tracker, char* memory) {
  const auto begin = reinterpret_cast<uint64_t>(memory);
  std::memset(memory, 1, kTrackedPages * kPageBytes);
  if (tracker.add(begin, begin + kTrackedPages * kPageBytes) != TrackingStatus::kOk) {
    return "a range can't be tracked";
  }
  if (look(tracker).pages != kTrackedPages) return "a new range is not told whole";
  const bool tells_all = tracker.method() == TrackingMethod::kFull;
  for (uint64_t page = 0; page < kTrackedPages; ++page) {
    static_cast<volatile char*>(memory)[page * kPageBytes + 17] = 2;
    const Told told = look(tracker);
    if (tells_all && told.pages == kTrackedPages) continue;
    if (told.pages != 1 || told.first != begin + page * kPageBytes) {
      return "a page that was written is not told, or another one is";
    }
  }
  return nullptr;
}

SelfTestPart tracking(TrackingMethod method) {
  const std::string name = std::string("tracking, ") + name_of(method);
  PageTracker tracker;
  TrackerOptions options;
  options.method = method;
  options.max_ranges = 16;
  if (tracker.open(options) != TrackingStatus::kOk) return {name, false, true, tracker.reason()};
  void* memory = mmap(nullptr, kTrackedPages * kPageBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return {name, false, true, "no memory"};
  SelfTestPart tested = part(name.c_str(), tracked(tracker, static_cast<char*>(memory)));
  tracker.close();
  munmap(memory, kTrackedPages * kPageBytes);
  return tested;
}

// Neither byte beside guarded memory can be read, each one in it can.
const char* guards() {
  char* memory = static_cast<char*>(map_guarded(kPageBytes, false, "the self-test's memory"));
  if (memory == nullptr) return "no memory";
  const auto begin = reinterpret_cast<uint64_t>(memory);
  char byte = 0;
  const bool within = can_read(begin, kPageBytes) && write_memory(begin, &byte, 1);
  const bool beyond = read_memory(&byte, begin - 1, 1) || read_memory(&byte, begin + kPageBytes, 1);
  unmap_guarded(memory, kPageBytes);
  if (!within) return "guarded memory can't be used, or memory can't be read carefully";
  return beyond ? "what is beside guarded memory can be read" : nullptr;
}

}  // namespace

std::vector<SelfTestPart> self_test() {
  return {part("checksums", checksums()),
          part("packing", packing()),
          part("keyed digests", keyed_digests()),
          part("messages", messages()),
          tracking(TrackingMethod::kWpAsync),
          tracking(TrackingMethod::kFault),
          tracking(TrackingMethod::kFull),
          part("guards and careful reads", guards())};
}

}  // namespace auxin::checkpoint
