// SPDX-License-Identifier: Apache-2.0
//
// Goal: memory/FORMAT.md says what the code writes. Method: its worked example, computed.
#include <gtest/gtest.h>


#include "stmemu/document_example.h"
#include "stmemu/memory/format.h"

namespace auxin::stm {
namespace {

constexpr uint64_t kSeed = 0x0123456789abcdef;

TEST(MemoryFormat, TheDocumentsExampleIsWhatTheCodeWrites) {
  PageHead head = {};
  head.version = 3;
  head.pages = 4;
  head.use = static_cast<uint8_t>(PageUse::kObjects);
  head.size_class = 3;
  head.checksum = head_checksum(kSeed, 7, head);
  EXPECT_EQ(hex(&head, sizeof(head)), example(AUXIN_MEMORY_FORMAT_DOCUMENT, "head"));

  ObjectHeader header = {};
  header.version = 5;
  header.describe(8, ObjectKind::kUser, ObjectState::kLive);
  header.type_and_life = 0x11223344 | uint64_t{2} << 32;
  header.checksum = object_checksum(kSeed, head.version, 0x7020, header, "balance=");
  EXPECT_EQ(hex(&header, sizeof(header)), example(AUXIN_MEMORY_FORMAT_DOCUMENT, "object"));

  const uint64_t words[2] = {
      pack_state(kSeed, 0x9000, {17, Phase::kCommitted}),
      pack_intent(kSeed, 0x9010, 17, {0x7020, Intent::kChange})};
  EXPECT_EQ(hex(words, sizeof(words)), example(AUXIN_MEMORY_FORMAT_DOCUMENT, "words"));
}

}  // namespace
}  // namespace auxin::stm
