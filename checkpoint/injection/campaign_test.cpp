// SPDX-License-Identifier: Apache-2.0
//
// Goal: docs/checkpoint-errors.md says what the campaign finds, and what has a checksum is never
// missed. With AUXIN_TABLE=1 the table is printed.
#include "checkpoint/injection/campaign.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "checkpoint/store/tests/store_test_directory.h"

namespace auxin::checkpoint::injection {
namespace {

TEST(InjectionCampaign, FindsWhatTheDocumentSays) {
  const test::StoreDirectory directory;
  const std::vector<Row> rows = run_campaign(directory.path(""));
  const std::string table = table_of(rows);
  if (std::getenv("AUXIN_TABLE") != nullptr) std::printf("%s", table.c_str());
  std::ifstream file(AUXIN_ERRORS_DOCUMENT);
  std::stringstream document;
  document << file.rdbuf();
  EXPECT_NE(document.str().find(table), std::string::npos) << table;
  for (const Row& row : rows) {
    EXPECT_GT(row.injected(), 10u) << row.where;
    const bool unchecked = row.where == "an image in memory" ||
                           row.where == "tables that are not looked at: user word" ||
                           row.where == "a message without checksums of contents: contents";
    if (unchecked) continue;
    EXPECT_EQ(row.missed, 0u) << row.where;
  }
}

}  // namespace
}  // namespace auxin::checkpoint::injection
