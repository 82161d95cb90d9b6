// SPDX-License-Identifier: Apache-2.0
//
// FORMAT.md's worked example against the code: a change of the format that forgets the document (or
// its version) fails here.
#include <gtest/gtest.h>
#include <string.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "stmemu/memory_header.h"
#include "stmemu/stable_log.h"
#include "stmemu/test_memory.h"

namespace auxin::stm {
namespace {

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

// What stands between ```name and ``` in FORMAT.md.
std::string example(const std::string& name) {
  std::ifstream file(AUXIN_FORMAT_DOCUMENT);
  std::stringstream all;
  all << file.rdbuf();
  const std::string text = all.str();
  const std::string fence = "```" + name + "\n";
  const size_t from = text.find(fence);
  if (from == std::string::npos) return "no example " + name;
  const size_t to = text.find("```", from + fence.size());
  return text.substr(from + fence.size(), to - from - fence.size());
}

TEST(FormatTest, TheDocumentsExampleIsWhatTheCodeWrites) {
  TestDirectory directory;
  const std::string path = directory.file("memory");
  {
    StableMemory made = create_or_abort(path, {4096, 64, 4096});
    char* const page = static_cast<char*>(made.control()) - 4096;
    MemoryHeader header;
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
  EXPECT_EQ(hex(page, 64), example("header"));
  EXPECT_EQ(hex(words, 8) + hex(words + 64, 8) + hex(words + 128, 16), example("words"));
  EXPECT_EQ(hex(memory.entries(), 64), example("slot"));
  EXPECT_EQ(hex(memory.payload(), 8), example("payload"));
}

}  // namespace
}  // namespace auxin::stm
