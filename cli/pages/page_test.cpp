// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever a recorded process is called or calls, it can't leave the element that holds the
// page's data. Method: hostile text put in, and the page's text looked at; tests/pages/ does the
// same in a browser.
#include "cli/pages/page.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/pages/graph_page.h"
#include "cli/pages/lock_page.h"
#include "cli/pages/sources.h"

namespace auxin::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kHostile = "</script ><img src=x onerror=alert(1)><!--{{data}}&\"'";

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
  EXPECT_EQ(times(page, "</script"), 2u);
  EXPECT_EQ(times(page, "<img"), 0u);
  EXPECT_EQ(times(page, "<!--"), 1u) << "the licence of the page's body";
  const Json data = data_of(page);
  EXPECT_EQ(data["title"], kHostile);
  EXPECT_EQ(data["tree"]["children"][0]["function"], kHostile);
  EXPECT_EQ(data["remarks"][0], kHostile);
  EXPECT_EQ(page.find("{{title}}"), std::string::npos);
}

TEST(Page, AHostileGraphLeavesOneElementOfDataAndOneScript) {
  analysis::Graph graph;
  graph.title = kHostile;
  graph.nodes.resize(1);
  graph.nodes[0].name = kHostile;
  GraphPicture picture{graph, std::string("<?xml ?><svg>") + kHostile + "</svg>", ""};
  const std::string page =
      graph_page(graph, picture, {{"filter", {kHostile}}}, {kHostile}, nullptr);
  EXPECT_EQ(times(page, "</script"), 2u);
  EXPECT_EQ(times(page, "<img"), 0u);
  EXPECT_EQ(data_of(page)["nodes"][0]["name"], kHostile);
  EXPECT_EQ(data_of(page)["picture"]["svg"], "<svg>" + std::string(kHostile) + "</svg>");
}

TEST(Page, APicturesNodesAreNamedByTheirNumberInTheGraph) {
  analysis::Graph graph;
  graph.nodes.resize(4);
  graph.nodes[0].name = "f";
  graph.nodes[1].name = graph.nodes[2].name = "twin";
  graph.nodes[3].name = "g";
  GraphPicture picture;
  picture.part.nodes = {graph.nodes[3], graph.nodes[1], graph.nodes[2]};
  picture.part.edges.resize(1);
  picture.part.edges[0].from = 2;
  const std::vector<analysis::Operation> operations = {{"filter", {"a b", "c"}}, {"collapse", {}}};
  const Json data = data_of(graph_page(graph, picture, operations, {}, nullptr));
  EXPECT_EQ(data["picture"]["nodes"], (Json{3, 1, 2}));
  EXPECT_EQ(data["picture"]["edges"], (Json{{2, 0}}));
  EXPECT_EQ(data["operations"], (Json{"filter 'a b' c", "collapse"}));
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
