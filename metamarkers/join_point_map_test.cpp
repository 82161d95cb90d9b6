// SPDX-License-Identifier: Apache-2.0
//
// Loading and choosing join-point maps, and the sentences for what is wrong with them.
#include "metamarkers/join_point_map.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "metamarkers/map_file.h"
#include "metamarkers/symbol_pattern.h"

using namespace auxin::markers;

namespace {

const std::string kWhole = R"toml(schema = 1
name = "toy-1"
[[match]]
soname = "libtoyorb.so.1"
[modules]
infrastructure = ["libtoyorb.so*", "libtoyhelp.so*"]
conduit = ["libc.so*"]
own_sockets = ["libevents.so*"]
[[join_point]]
name = "upcall"
function = "toy::Orb::upcall(toy::Request&)"
library = "libtoyorb.so*"
role = "upcall"
argument_offset = -8
[[join_point]]
name = "sweeper"
function = "_ZN3toy3Orb5sweepEv"
library = "libtoyorb.so*"
role = "suppressed"
follower_skips = true
skip_result = 1
optional = true
[offsets]
request.id = 24
request.deep.er = -4
plain = 0x10
[framing]
length_at = 0
length_adds = -4
kind_at = 4
id_at = 8
id_bytes = 8
byte_order = "little"
requests = [1, 3]
replies = [2]
)toml";

TEST(JoinPointMapFile, KnowsInterpreters) {
  std::string text = kWhole;
  text.replace(text.find("own_sockets"), strlen("own_sockets"), "interpreter");
  const LoadedMap loaded = parse_map(text, "toy.toml");
  ASSERT_EQ(loaded.error, "");
  EXPECT_EQ(loaded.map.interpreter, std::vector<std::string>{"libevents.so*"});
  EXPECT_TRUE(loaded.map.own_sockets.empty());
}

TEST(JoinPointMapFile, IsReadWhole) {
  const LoadedMap loaded = parse_map(kWhole, "toy.toml");
  ASSERT_EQ(loaded.error, "");
  const JoinPointMap& map = loaded.map;
  EXPECT_EQ(map.name, "toy-1");
  EXPECT_EQ(map.path, "toy.toml");
  EXPECT_EQ(map.match_sonames, std::vector<std::string>{"libtoyorb.so.1"});
  EXPECT_EQ(map.infrastructure, (std::vector<std::string>{"libtoyorb.so*", "libtoyhelp.so*"}));
  EXPECT_EQ(map.conduit, std::vector<std::string>{"libc.so*"});
  EXPECT_EQ(map.own_sockets, std::vector<std::string>{"libevents.so*"});
  EXPECT_TRUE(map.interpreter.empty());
  ASSERT_EQ(map.join_points.size(), 2u);
  EXPECT_EQ(map.join_points[0].name, "upcall");
  EXPECT_EQ(map.join_points[0].function, "toy::Orb::upcall(toy::Request&)");
  EXPECT_EQ(map.join_points[0].library, "libtoyorb.so*");
  EXPECT_EQ(map.join_points[0].role, Role::kUpcall);
  EXPECT_EQ(map.join_points[0].argument_offset, -8);
  EXPECT_FALSE(map.join_points[0].follower_skips);
  EXPECT_FALSE(map.join_points[0].optional);
  EXPECT_EQ(map.join_points[1].role, Role::kSuppressed);
  EXPECT_TRUE(map.join_points[1].follower_skips);
  EXPECT_TRUE(map.join_points[1].optional);
  EXPECT_EQ(map.join_points[1].skip_result, 1u);
  ASSERT_NE(map.offset("request.id"), nullptr);
  EXPECT_EQ(*map.offset("request.id"), 24);
  EXPECT_EQ(*map.offset("request.deep.er"), -4);
  EXPECT_EQ(*map.offset("plain"), 16);
  EXPECT_EQ(map.offset("request"), nullptr);
  ASSERT_TRUE(map.framing);
  EXPECT_EQ(map.framing->length_bytes, 4u);
  EXPECT_EQ(map.framing->length_adds, -4);
  EXPECT_EQ(map.framing->kind_bytes, 1u);
  EXPECT_EQ(map.framing->header_bytes(), 16u);
  EXPECT_TRUE(map.framing->little_endian);
  EXPECT_TRUE(map.framing->is_request(3));
  EXPECT_TRUE(map.framing->is_reply(2));
  EXPECT_FALSE(map.framing->is_reply(3));
}

TEST(JoinPointMapFile, EveryRoleHasAName) {
  for (uint16_t index = 1; index < kRoleCount; ++index) {
    const auto role = static_cast<Role>(index);
    ASSERT_NE(role_name(role), nullptr);
    EXPECT_EQ(role_of(role_name(role)), role);
  }
  EXPECT_EQ(role_of("none"), Role::kNone);
  EXPECT_EQ(role_name(Role::kNone), nullptr);
}

struct Wrong {
  const char* what;
  const char* old_text;
  const char* new_text;
  const char* error;  // without the path
};
class WrongMap : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongMap, IsRefusedWithFileAndLine) {
  std::string text = kWhole;
  const size_t at = text.find(GetParam().old_text);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, std::string(GetParam().old_text).size(), GetParam().new_text);
  const LoadedMap loaded = parse_map(text, "dir/toy.toml");
  EXPECT_EQ(loaded.error, std::string("dir/toy.toml:") + GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Sentences, WrongMap,
    ::testing::Values(
        Wrong{"NoSchema", "schema = 1", "", "1: `schema` is missing; this version reads schema 1"},
        Wrong{"OtherSchema", "schema = 1", "schema = 2", "1: this version reads schema 1 only"},
        Wrong{"SchemaOfAnotherType", "schema = 1", "schema = \"1\"",
              "1: `schema` must be an integer"},
        Wrong{"NoName", "name = \"toy-1\"", "", "1: `name` is missing in the map"},
        Wrong{"UnknownKey", "name = \"toy-1\"", "name = \"toy-1\"\nnote = 1",
              "3: `note` is not a key of the map"},
        Wrong{"UnknownKeyInMatch", "soname = \"libtoyorb.so.1\"",
              "soname = \"libtoyorb.so.1\"\nversion = 1", "5: `version` is not a key of [[match]]"},
        Wrong{"NoMatch", "[[match]]\nsoname = \"libtoyorb.so.1\"", "",
              "1: there is no [[match]]: the map would never apply"},
        Wrong{"MatchIsATable", "[[match]]", "[match]",
              "3: `match` must be a list of tables: [[match]]"},
        Wrong{"UnknownModuleList", "conduit", "conduits",
              "7: `conduits` is not a key of [modules]"},
        Wrong{"ModuleListIsAString", "[\"libc.so*\"]", "\"libc.so*\"",
              "7: `conduit` must be a list of strings"},
        Wrong{"ModuleListOfNumbers", "[\"libc.so*\"]", "[\"libc.so*\", 6]",
              "7: `conduit` must be a string that is not empty"},
        Wrong{"UnknownRole", "role = \"upcall\"", "role = \"downcall\"",
              "13: \"downcall\" is not a role; the roles are dispatcher, request, upcall, "
              "infrastructure, contention-point, suppressed, value-source, output-begins, "
              "mutex-factory, plain, contention-ends, connection-choice, "
              "worker-task, memory-stream"},
        Wrong{"NoRole", "role = \"upcall\"\n", "", "9: `role` is missing in [[join_point]]"},
        Wrong{"NoLibrary", "library = \"libtoyorb.so*\"\nrole = \"upcall\"", "role = \"upcall\"",
              "9: `library` is missing in [[join_point]]"},
        Wrong{"EmptyFunction", "\"_ZN3toy3Orb5sweepEv\"", "\"\"",
              "17: `function` must be a string that is not empty"},
        Wrong{"MisspeltKey", "follower_skips", "follower_skip",
              "20: `follower_skip` is not a key of [[join_point]]"},
        Wrong{"SkipsIsANumber", "follower_skips = true", "follower_skips = 1",
              "20: `follower_skips` must be true or false"},
        Wrong{"SkipsWithAnotherRole", "argument_offset = -8", "follower_skips = true",
              "14: `follower_skips` goes with the role \"suppressed\" only"},
        Wrong{"ResultWithoutSkip", "argument_offset = -8", "skip_result = 3",
              "14: `skip_result` needs `follower_skips = true`"},
        Wrong{"OffsetIsFractional", "plain = 0x10", "plain = 1.5",
              "26: `plain` must be an integer"},
        Wrong{"DeepOffsetIsAString", "request.deep.er = -4", "request.deep.er = \"\"",
              "25: `request.deep.er` must be an integer"},
        Wrong{"NoPlaceOfTheId", "id_at = 8\n", "", "27: `id_at` is missing in [framing]"},
        Wrong{"PlaceBeforeTheMessage", "kind_at = 4", "kind_at = -1",
              "30: `kind_at` must be from 0 to 56"},
        Wrong{"PlaceFarOff", "kind_at = 4", "kind_at = 57", "30: `kind_at` must be from 0 to 56"},
        Wrong{"OddSize", "id_bytes = 8", "id_bytes = 3", "32: `id_bytes` must be 1, 2, 4 or 8"},
        Wrong{"NoByteOrder", "\"little\"", "\"middle\"",
              "33: `byte_order` must be \"big\" or \"little\""},
        Wrong{"NoRequests", "requests = [1, 3]", "requests = []",
              "34: `requests` of [framing] must be a list of integers"},
        Wrong{"RequestThatIsAReply", "replies = [2]", "replies = [2, 3]",
              "35: kind 3 is in `requests` and in `replies`"},
        Wrong{"UnknownKeyOfFraming", "kind_at = 4", "kind_at = 4\nkind = 1",
              "31: `kind` is not a key of [framing]"}),
    [](const auto& wrong) { return std::string(wrong.param.what); });

TEST(JoinPointMapFile, SyntaxErrorsNameTheLine) {
  const LoadedMap loaded = parse_map("schema = 1\nname = \"a\nb\"\n", "x.toml");
  EXPECT_EQ(loaded.error.find("x.toml:2: "), 0u) << loaded.error;
}

TEST(JoinPointMapFile, StrangeCharacterInATableNameIsAnErrorInEveryBuild) {
  for (const char* text : {"schema = 1\n[\x80]\n", "schema = 1\n[[ \xff", "[\n", "[=]\n"}) {
    EXPECT_EQ(parse_map(text, "strange.toml").error.find("strange.toml:"), 0u) << text;
  }
}

TEST(JoinPointMapFile, DamagedTextNeverCrashes) {
  const char* given = getenv("AUXIN_SEED");
  const unsigned seed = given != nullptr ? static_cast<unsigned>(strtoul(given, nullptr, 0))
                                         : std::random_device{}();
  printf("seed: AUXIN_SEED=%u\n", seed);
  std::mt19937 random(seed);
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string text = kWhole;
    for (unsigned change = 0; change <= random() % 4; ++change) {
      const size_t at = random() % text.size();
      if (random() % 2 == 0) text.erase(at, 1 + random() % 20);
      else text[at] = static_cast<char>(random());
      if (text.empty()) break;
    }
    const LoadedMap loaded = parse_map(text, "damaged.toml");
    if (!loaded.error.empty()) {
      ASSERT_EQ(loaded.error.find("damaged.toml:"), 0u) << loaded.error;
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(JoinPointMapFile, MissingFileIsASentence) {
  EXPECT_EQ(load_map("/nowhere/map.toml").error,
            "/nowhere/map.toml: can't be read: No such file or directory");
}

class MapsDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/auxin-maps-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    directory_ = pattern;
  }
  void TearDown() override {
    if (DIR* stream = opendir(directory_.c_str())) {
      while (const dirent* entry = readdir(stream)) {
        unlink((directory_ + "/" + entry->d_name).c_str());
      }
      closedir(stream);
    }
    rmdir(directory_.c_str());
  }
  void put(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name) << text;
  }
  static std::string map_for(const std::string& name, const std::vector<std::string>& sonames) {
    std::string text = "schema = 1\nname = \"" + name + "\"\n";
    for (const std::string& soname : sonames) text += "[[match]]\nsoname = \"" + soname + "\"\n";
    return text;
  }
  std::string directory_;
};

TEST_F(MapsDirectory, MapsThatMatchAreChosenTheGeneralOnesFirst) {
  put("b-orb.toml", map_for("orb", {"liborb.so.2"}));
  put("a-layer.toml", map_for("layer", {"liblayer.so.9", "liborb.so.2"}));
  put("other.toml", map_for("other", {"libother.so.1"}));
  put("half.toml", map_for("half", {"liborb.so.2", "libabsent.so.1"}));
  put("README.md", "not a map");
  const ChosenMaps chosen =
      choose_maps(directory_, {"libc.so.6", "/usr/lib/liborb.so.2", "/opt/x/liblayer.so.9"});
  EXPECT_EQ(chosen.error, "");
  ASSERT_EQ(chosen.maps.size(), 2u);
  EXPECT_EQ(chosen.maps[0].name, "orb");
  EXPECT_EQ(chosen.maps[1].name, "layer");
}

TEST_F(MapsDirectory, MapThatDoesNotMatchIsNotEvenParsed) {
  put("broken.toml", "schema = = 1\n[[match]]\n  soname\t=  \"libabsent.so.1\"  # not loaded\n");
  EXPECT_EQ(choose_maps(directory_, {"libc.so.6"}).error, "");
  const ChosenMaps loaded = choose_maps(directory_, {"libabsent.so.1"});
  EXPECT_TRUE(loaded.maps.empty());
  EXPECT_EQ(loaded.error.find(directory_ + "/broken.toml:1: "), 0u) << loaded.error;
}

TEST_F(MapsDirectory, UnusualSpellingOfTheMatchIsStillHonoured) {
  put("inline.toml", "schema = 1\nname = \"i\"\nmatch = [{soname = 'libabsent.so.1'}]\n");
  EXPECT_TRUE(choose_maps(directory_, {"libc.so.6"}).maps.empty());
  EXPECT_EQ(choose_maps(directory_, {"libabsent.so.1"}).maps.size(), 1u);
}

TEST_F(MapsDirectory, OneBrokenMapDoesNotTakeTheOthersAlong) {
  put("bad.toml", map_for("bad", {"liborb.so.2"}) + "extra = 1\n");
  put("good.toml", map_for("good", {"liborb.so.2"}));
  const ChosenMaps chosen = choose_maps(directory_, {"liborb.so.2"});
  ASSERT_EQ(chosen.maps.size(), 1u);
  EXPECT_EQ(chosen.maps[0].name, "good");
  EXPECT_NE(chosen.error.find("`extra` is not a key of"), std::string::npos) << chosen.error;
}

TEST_F(MapsDirectory, MissingDirectoryIsASentence) {
  const ChosenMaps chosen = choose_maps(directory_ + "/none", {});
  EXPECT_EQ(chosen.error, directory_ + "/none: can't be read: No such file or directory");
}

TEST(ShippedMaps, Load) {
  for (const char* name : {"omniorb-4.2.toml", "python-3.toml", "tango-9.toml"}) {
    EXPECT_EQ(load_map(std::string(AUXIN_MAPS_DIRECTORY "/") + name).error, "");
  }
}

TEST(ShippedMaps, TheExampleInFormatDocumentLoads) {
  std::ifstream document(AUXIN_MAPS_DIRECTORY "/FORMAT.md");
  std::string line, example;
  bool inside = false;
  while (std::getline(document, line)) {
    if (line.starts_with("## ")) inside = line == "## Example";
    if (inside && line.starts_with("    ")) example += line.substr(4) + "\n";
  }
  const LoadedMap loaded = parse_map(example, "FORMAT.md");
  EXPECT_EQ(loaded.error, "");
  EXPECT_EQ(loaded.map.join_points.size(), 2u);
}

TEST(ShippedMaps, FormatDocumentNamesEveryRole) {
  std::ifstream document(AUXIN_MAPS_DIRECTORY "/FORMAT.md");
  const std::string text((std::istreambuf_iterator<char>(document)), {});
  for (uint16_t index = 1; index < kRoleCount; ++index) {
    const std::string row = std::string("| `") + role_name(static_cast<Role>(index)) + "` |";
    EXPECT_NE(text.find(row), std::string::npos) << row;
  }
}

TEST(Patterns, StarAndQuestionMark) {
  EXPECT_TRUE(matches("libomniORB4.so*", "libomniORB4.so.2"));
  EXPECT_TRUE(matches("libomniORB4.so*", "libomniORB4.so"));
  EXPECT_FALSE(matches("libomniORB4.so*", "libomniORB.so.2"));
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("", ""));
  EXPECT_FALSE(matches("", "a"));
  EXPECT_TRUE(matches("a?c", "abc"));
  EXPECT_FALSE(matches("a?c", "ac"));
  EXPECT_TRUE(matches("*ab*ab", "abxabab"));
  EXPECT_FALSE(matches("*ab*ab", "ab"));
  EXPECT_TRUE(matches("a**b", "ab"));
  EXPECT_FALSE(matches("a[b]", "ab"));  // no classes
}

TEST(Patterns, FunctionsMatchMangledAndDemangledWithAnyBlanks) {
  const char* symbol = "_ZN14omniCallHandle6upcallEP11omniServantR18omniCallDescriptor";
  for (const char* pattern :
       {"omniCallHandle::upcall(omniServant*, omniCallDescriptor&)",
        "omniCallHandle::upcall( omniServant *,omniCallDescriptor & )", "omniCallHandle::upcall(*)",
        "omniCallHandle::*", "*::upcall(*)", symbol, "_ZN14omniCallHandle6upcallE*"}) {
    EXPECT_TRUE(SymbolPattern(pattern).matches_symbol(symbol)) << pattern;
  }
  for (const char* pattern : {"omniCallHandle::upcall", "upcall(*)", "omniCallHandle::upcall()",
                              "omniCallHandles::upcall(*)", "_ZN14omniCallHandle"}) {
    EXPECT_FALSE(SymbolPattern(pattern).matches_symbol(symbol)) << pattern;
  }
}

TEST(Patterns, SpecialNamesAreNotRejectedBeforeDemangling) {
  EXPECT_TRUE(SymbolPattern("omni_rmutex::omni_rmutex()").matches_symbol("_ZN11omni_rmutexC1Ev"));
  EXPECT_TRUE(SymbolPattern("omni_rmutex::~omni_rmutex()").matches_symbol("_ZN11omni_rmutexD1Ev"));
  EXPECT_TRUE(SymbolPattern("A::operator==(A const&) const").matches_symbol("_ZNK1AeqERKS_"));
  EXPECT_TRUE(SymbolPattern("A::operator()(int)").matches_symbol("_ZN1AclEi"));
  EXPECT_TRUE(SymbolPattern("std::string::size() const").matches_symbol("_ZNKSs4sizeEv") ||
              SymbolPattern("std::basic_string<*>::size() const").matches_symbol("_ZNKSs4sizeEv"));
  EXPECT_TRUE(SymbolPattern("std::thread::join()").matches_symbol("_ZNSt6thread4joinEv"));
  EXPECT_TRUE(SymbolPattern("plain_c").matches_symbol("plain_c"));
  EXPECT_FALSE(SymbolPattern("plain_c()").matches_symbol("plain_c"));
}

}  // namespace
