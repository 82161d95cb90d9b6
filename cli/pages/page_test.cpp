// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever a recorded process is called or calls, it can't leave the element that holds the
// page's data. Method: hostile text put in, and the page's text looked at; tests/pages/ does the
// same in a browser.
#include "cli/pages/page.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/pages/lock_page.h"
#include "cli/pages/sources.h"

namespace auxin::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kHostile = "</script><img src=x onerror=alert(1)><!--{{data}}&\"'";

size_t times(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// What stands in the page's element of data, as the browser would read it.
Json data_of(const std::string& page) {
  const std::string begin = R"(<script type="application/json" id="data">)";
  const size_t from = page.find(begin) + begin.size();
  return Json::parse(page.substr(from, page.find("</script>", from) - from));
}

TEST(Page, TextBecomesTextOfHtml) {
  EXPECT_EQ(html_text("a<b>&\"c'"), "a&lt;b&gt;&amp;&quot;c&#39;");
  EXPECT_EQ(html_text(""), "");
}

TEST(Page, DataHoldNoMarkupAndAreTheSameAfterwards) {
  const Json data = {{kHostile, {kHostile, 1.5, nullptr, "←\u2028"}}};
  const std::string text = json_in_script(data);
  EXPECT_EQ(text.find_first_of("<>&"), std::string::npos) << text;
  EXPECT_EQ(Json::parse(text), data);
}

TEST(Page, BytesThatAreNoUtf8AreReplaced) {
  EXPECT_EQ(Json::parse(json_in_script(Json("a\xff" "b"))), Json("a\uFFFDb"));
}

TEST(Page, AHostileReportLeavesOneElementOfDataAndOneScript) {
  analysis::LockReport report;
  report.title = kHostile;
  report.tree.function = kHostile;
  report.tree.children.push_back({kHostile, kHostile, {}, {}, {}});
  const std::string path = std::string(kHostile) + "\nmain [server]";
  report.by_path.push_back({path, kHostile, {}, {}, {}, 0, {}});
  report.remarks = {kHostile};
  const std::string page = lock_page(report, nullptr);
  EXPECT_EQ(times(page, "</script>"), 2u);
  EXPECT_EQ(times(page, "<img"), 0u);
  EXPECT_EQ(times(page, "<!--"), 1u) << "the licence of the page's body";
  const Json data = data_of(page);
  EXPECT_EQ(data["title"], kHostile);
  EXPECT_EQ(data["tree"]["children"][0]["function"], kHostile);
  EXPECT_EQ(data["remarks"][0], kHostile);
  EXPECT_EQ(page.find("{{title}}"), std::string::npos);
}

TEST(Page, APathHoldsNumbersOfFramesThatStandOnce) {
  analysis::LockReport report;
  report.by_path.push_back({"f [a]\nmain [a]", "pthread_mutex_lock", {}, {}, {}, 0, {}});
  report.by_path.push_back({"g [a]\nmain [a]", "pthread_mutex_lock", {}, {}, {}, 0, {}});
  const Json data = data_of(lock_page(report, nullptr));
  EXPECT_EQ(data["frames"], (Json{"f [a]", "main [a]", "g [a]"}));
  EXPECT_EQ(data["by_path"][1]["path"], (Json{2, 1}));
}

TEST(Page, ItsSourcesEndNoElementAndNameNoAddress) {
  ASSERT_FALSE(kSources.empty());
  for (const Source& source : kSources) {
    if (source.name == "page.html") continue;
    EXPECT_EQ(times(source.text, "</script"), 0u) << source.name;
    EXPECT_EQ(times(source.text, "</style"), 0u) << source.name;
    // An element of SVG is made under this name, which is never fetched.
    const size_t allowed = times(source.text, "\"http://www.w3.org/2000/svg\"");
    EXPECT_EQ(times(source.text, "http"), allowed) << source.name;
    EXPECT_EQ(times(source.text, "@import") + times(source.text, "url("), 0u) << source.name;
  }
}

}  // namespace
}  // namespace auxin::cli
