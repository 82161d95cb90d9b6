// SPDX-License-Identifier: Apache-2.0
//
// Goal: memory/FORMAT.md says what the code writes. Method: its worked example, computed; its
// tables against the records' own offsets.
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

using Fields = std::vector<Field>;

Fields documented(const std::string& heading) {
  return table(AUXIN_MEMORY_FORMAT_DOCUMENT, heading);
}

TEST(MemoryFormat, TheDocumentsTablesAreTheRecords) {
  EXPECT_EQ(documented("Superblock (offset 0 of each bank)"),
            (Fields{AUXIN_FIELD(Superblock, magic), AUXIN_FIELD(Superblock, format_version),
                    AUXIN_FIELD(Superblock, architecture), AUXIN_FIELD(Superblock, mode),
                    AUXIN_FIELD(Superblock, durability), AUXIN_FIELD(Superblock, seed),
                    AUXIN_FIELD_NAMED(Superblock, bank_size_bytes, "bank_size"),
                    AUXIN_FIELD(Superblock, machine), AUXIN_FIELD(Superblock, catalogue),
                    AUXIN_FIELD(Superblock, user_version),
                    AUXIN_FIELD(Superblock, plain_pages),
                    AUXIN_FIELD(Superblock, checksum)}));
  EXPECT_EQ(documented("Page head (offset " + std::to_string(kPageTableOffset) + " + " +
                       std::to_string(sizeof(PageHead)) + " × page)"),
            (Fields{AUXIN_FIELD(PageHead, checksum), AUXIN_FIELD(PageHead, version),
                    AUXIN_FIELD(PageHead, pages), AUXIN_FIELD(PageHead, use),
                    AUXIN_FIELD(PageHead, size_class),
                    AUXIN_FIELD_NAMED(PageHead, reserved, "zero"), AUXIN_FIELD(PageHead, owner)}));
  const std::string size = std::to_string(sizeof(Catalogue));
  EXPECT_EQ(documented("Catalogue (kind 3, " + size + " bytes)"),
            (Fields{AUXIN_FIELD(Catalogue, next), AUXIN_FIELD(Catalogue, reserved),
                    AUXIN_FIELD(Catalogue, entries)}));
  EXPECT_EQ(documented("Catalogue entry (" + std::to_string(sizeof(CatalogueEntry)) + " bytes)"),
            (Fields{AUXIN_FIELD(CatalogueEntry, name), AUXIN_FIELD(CatalogueEntry, object),
                    AUXIN_FIELD(CatalogueEntry, space)}));
}

// Its fields are parts of words: each is found by what it alone changes.
TEST(MemoryFormat, TheDocumentsTableOfHeadersIsTheHeader) {
  ObjectHeader header = {};
  header.describe((uint64_t{1} << 48) - 1, static_cast<ObjectKind>(0xfe),
                  static_cast<ObjectState>(0xfd));
  header.type_and_life = 0xfcfcfcfc | uint64_t{0xfbfb} << 32;
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  const auto field_of = [&](unsigned char value, const char* name) {
    uint64_t from = 0, to = sizeof(header);
    while (from < to && bytes[from] != value) ++from;
    while (to > from && bytes[to - 1] != value) --to;
    return Field{from, to - from, name};
  };
  EXPECT_EQ(documented("Object header"),
            (Fields{AUXIN_FIELD(ObjectHeader, checksum), AUXIN_FIELD(ObjectHeader, version),
                    field_of(0xff, "size"), field_of(0xfe, "kind"), field_of(0xfd, "state"),
                    field_of(0xfc, "type"), field_of(0xfb, "life"), Field{30, 2, "zero"}}));
}

}  // namespace
}  // namespace auxin::stm
