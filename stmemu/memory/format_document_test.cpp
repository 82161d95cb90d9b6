// SPDX-License-Identifier: Apache-2.0
//
// Goal: memory/FORMAT.md says what the code writes. Method: its worked example, computed.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "stmemu/memory/format.h"

namespace auxin::stm {
namespace {

constexpr uint64_t kSeed = 0x0123456789abcdef;

// Sixteen bytes a line, as in the document.
std::string hex(const void* bytes, size_t size_bytes) {
  std::string text;
  for (size_t at = 0; at < size_bytes; ++at) {
    char digits[4];
    snprintf(digits, sizeof(digits), "%02x", static_cast<const unsigned char*>(bytes)[at]);
    text += digits;
    text += at % 16 == 15 || at + 1 == size_bytes ? '\n' : ' ';
  }
  return text;
}

std::string example(const std::string& name) {
  std::ifstream file(AUXIN_MEMORY_FORMAT_DOCUMENT);
  std::stringstream all;
  all << file.rdbuf();
  const std::string text = all.str();
  const std::string fence = "```" + name + "\n";
  const size_t from = text.find(fence);
  if (from == std::string::npos) return "no example " + name;
  const size_t to = text.find("```", from + fence.size());
  return text.substr(from + fence.size(), to - from - fence.size());
}

TEST(MemoryFormat, TheDocumentsExampleIsWhatTheCodeWrites) {
  PageHead head = {};
  head.version = 3;
  head.pages = 4;
  head.use = static_cast<uint8_t>(PageUse::kObjects);
  head.size_class = 3;
  head.checksum = head_checksum(kSeed, 7, head);
  EXPECT_EQ(hex(&head, sizeof(head)), example("head"));

  ObjectHeader header = {};
  header.version = 5;
  header.describe(8, ObjectKind::kUser, ObjectState::kLive);
  header.type_and_life = 0x11223344 | uint64_t{2} << 32;
  header.checksum = object_checksum(kSeed, head.version, 0x7020, header, "balance=");
  EXPECT_EQ(hex(&header, sizeof(header)), example("object"));

  const uint64_t words[2] = {
      pack_state(kSeed, 0x9000, {17, Phase::kCommitted}),
      pack_intent(kSeed, 0x9010, 17, {0x7020, Intent::kChange})};
  EXPECT_EQ(hex(words, sizeof(words)), example("words"));
}

}  // namespace
}  // namespace auxin::stm
