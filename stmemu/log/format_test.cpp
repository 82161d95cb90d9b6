// SPDX-License-Identifier: Apache-2.0
//
// FORMAT.md's worked example against the code: a change of the format that forgets the document (or
// its version) fails here.
#include <gtest/gtest.h>
#include <string.h>

#include <cstdio>

#include "stmemu/document_example.h"
#include "stmemu/log/log_area.h"
#include "stmemu/log/stable_log.h"
#include "stmemu/test_memory.h"

namespace auxin::stm {
namespace {

TEST(FormatTest, TheDocumentsExampleIsWhatTheCodeWrites) {
  TestDirectory directory;
  const std::string path = directory.file("memory");
  {
    StableMemory made = create_or_abort(path, {4096, 64, 4096});
    char* const page = static_cast<char*>(made.control()) - 4096;
    LogAreaHeader header;
    memcpy(&header, page, sizeof(header));
    header.seed = 0x0123456789abcdef;
    header.checksum = header_checksum(header);
    memcpy(page, &header, sizeof(header));
  }
  StableMemory memory = open_or_abort(path);
  StableLog log(memory);
  LogEntry entry{0x1111, 2, 3, 4, 5, 6, 7, log.allocate_payload(4), 4};
  memcpy(log.payload_at(entry.payload_offset), "bank", 4);
  ASSERT_EQ(log.append(entry), 0u);
  log.set_outcome(0, 9);

  const char* const page = static_cast<char*>(memory.control()) - 4096;
  const char* const words = static_cast<char*>(memory.log_page());
  EXPECT_EQ(hex(page, 64), example(AUXIN_FORMAT_DOCUMENT, "header"));
  EXPECT_EQ(hex(words, 8) + hex(words + 64, 8) + hex(words + 128, 16),
            example(AUXIN_FORMAT_DOCUMENT, "words"));
  EXPECT_EQ(hex(memory.entries(), 64), example(AUXIN_FORMAT_DOCUMENT, "slot"));
  EXPECT_EQ(hex(memory.payload(), 8), example(AUXIN_FORMAT_DOCUMENT, "payload"));
}

}  // namespace
}  // namespace auxin::stm
