// SPDX-License-Identifier: Apache-2.0
//
// Goal: a compilation database of any tool gives the units and what of their commands matters; one
// that is damaged gives a sentence, and never harm. Method: texts made by hand against files in a
// directory of the test's own; the damaged ones are cut at every length, and every byte is changed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "analysis/structure/command_words.h"
#include "analysis/structure/compile_commands.h"
#include "analysis/structure/structure_json.h"

namespace auxin::analysis {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(CommandWords, AreDividedAsAShellDoes) {
  EXPECT_THAT(words_of_command("g++  -DA='a b' -DB=\\\"x\\\" \"-I/c d\"\t''"),
              ElementsAre("g++", "-DA=a b", "-DB=\"x\"", "-I/c d", ""));
  EXPECT_THAT(words_of_command("a \"b\\c\" 'd\\' \"not closed"),
              ElementsAre("a", "b\\c", "d\\", "not closed"));
  EXPECT_THAT(words_of_command(" \n"), ElementsAre());
}

TEST(ReadingCommand, KeepsWhatDecidesWhatASourceMeans) {
  const ReadingCommand command = reading_command(
      words_of_command("/usr/bin/x86_64-linux-gnu-g++-12 -DX=1 -I inc -isystem /sys -Iinc2 "
                       "-std=gnu++20 -O2 -g -Wall -Werror -fconserve-stack -fno-rtti -MD -MF a.d "
                       "-MT a.o -include pre.h -o a.o -c a.cpp --param max=3 -Xclang -verify"),
      "/");
  EXPECT_TRUE(command.cpp_driver);
  EXPECT_THAT(command.arguments,
              ElementsAre("-DX=1", "-I", "inc", "-isystem", "/sys", "-Iinc2", "-std=gnu++20", "-O2",
                          "-fno-rtti", "-include", "pre.h"));
}

TEST(ReadingCommand, PassesOverWhatStartsTheCompiler) {
  for (const char* before : {"", "ccache ", "/usr/bin/ccache distcc ", "env A=B -u C ccache "}) {
    const ReadingCommand command =
        reading_command(words_of_command(std::string(before) + "c++ -DX -c a.cpp"), "/");
    EXPECT_TRUE(command.cpp_driver) << before;
    EXPECT_THAT(command.arguments, ElementsAre("-DX")) << before;
  }
  EXPECT_FALSE(reading_command({"ccache", "gcc-12", "-c", "a.c"}, "/").cpp_driver);
}

class CompileCommandsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("commands-" + std::to_string(getpid()));
    fs::create_directories(directory_ / "src");
    fs::create_directories(directory_ / "build");
    for (const char* name : {"src/a.cpp", "src/b.cpp", "src/c.c", "src/d.S"}) write(name, "");
  }
  void TearDown() override { fs::remove_all(directory_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
  }
  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  Result<CompileCommands> parse(const std::string& text,
                                const std::vector<std::string>& under = {}) const {
    return parse_compile_commands(text, path("build/compile_commands.json"), under);
  }

  fs::path directory_;
};

TEST_F(CompileCommandsTest, HaveCommandsOrArgumentsAndRelativePaths) {
  auto commands = parse(R"([
    {"directory": ".", "file": "../src/a.cpp", "command": "c++ -DA=\"x y\" -c ../src/a.cpp"},
    {"directory": "../src", "file": "c.c", "arguments": ["cc", "-DB=x y", "-c", "c.c"]}])");
  ASSERT_TRUE(commands) << commands.error();
  ASSERT_EQ(commands->units.size(), 2u);
  EXPECT_EQ(commands->units[0].file, path("src/a.cpp"));
  EXPECT_TRUE(commands->units[0].cpp_driver);
  EXPECT_THAT(commands->units[0].arguments, ElementsAre("-DA=x y"));
  EXPECT_EQ(commands->units[1].directory, path("src"));
  EXPECT_FALSE(commands->units[1].cpp_driver);
  EXPECT_THAT(commands->units[1].arguments, ElementsAre("-DB=x y"));
  EXPECT_TRUE(commands->remarks.empty());
}

TEST_F(CompileCommandsTest, NameWhatIsRepeatedForeignOrNotThere) {
  auto commands = parse(R"([
    {"directory": ".", "file": "../src/a.cpp", "command": "c++ -DFIRST -c a"},
    {"directory": ".", "file": "../src/../src/a.cpp", "command": "c++ -DSECOND -c a"},
    {"directory": ".", "file": "../src/d.S", "command": "cc -c d.S"},
    {"directory": ".", "file": "made.cpp", "command": "c++ -c made.cpp"},
    {"directory": "gone", "file": "/x.cpp", "command": "c++ -c /x.cpp"},
    {"directory": ".", "command": "c++ -c nameless"},
    {"directory": ".", "file": "../src/b.cpp"},
    7])");
  ASSERT_TRUE(commands) << commands.error();
  ASSERT_EQ(commands->units.size(), 1u);
  EXPECT_THAT(commands->units[0].arguments, ElementsAre("-DFIRST"));
  ASSERT_EQ(commands->failures.size(), 2u);
  EXPECT_THAT(commands->failures[0].reason, HasSubstr("generated"));
  EXPECT_THAT(commands->failures[1].reason, HasSubstr("its directory"));
  EXPECT_THAT(commands->remarks,
              ElementsAre(HasSubstr("entry 6: has no 'file'"),
                          HasSubstr("entry 7: has neither 'arguments' nor 'command'"),
                          HasSubstr("entry 8: is no object"), HasSubstr("1 commands compile"),
                          HasSubstr("1 units are neither C nor C++")));
}

TEST_F(CompileCommandsTest, ResponseFilesAreRead) {
  write("src/options.rsp", "-DFROM_FILE '-I/a b' @more.rsp");
  write("src/more.rsp", "-DMORE");
  write("src/self.rsp", "@self.rsp");
  auto commands = parse(R"([
    {"directory": "../src", "file": "a.cpp", "command": "c++ @options.rsp @none.rsp -c a.cpp"},
    {"directory": "../src", "file": "b.cpp", "command": "c++ -DB @self.rsp -c b.cpp"}])");
  ASSERT_TRUE(commands) << commands.error();
  EXPECT_THAT(commands->units[0].arguments, ElementsAre("-DFROM_FILE", "-I/a b", "-DMORE"));
  EXPECT_THAT(commands->units[1].arguments, ElementsAre("-DB"));
  EXPECT_THAT(commands->remarks,
              ElementsAre(HasSubstr("none.rsp cannot be read"), HasSubstr("more than 8 deep")));
}

TEST_F(CompileCommandsTest, AreChosenByDirectory) {
  const std::string text = R"([
    {"directory": ".", "file": "../src/a.cpp", "command": "c++ -c a"},
    {"directory": ".", "file": "generated.cpp", "command": "c++ -c b"}])";
  auto commands = parse(text, {path("src") + "/"});
  ASSERT_TRUE(commands) << commands.error();
  EXPECT_EQ(commands->units.size(), 1u);
  EXPECT_TRUE(commands->failures.empty());
  // "sr" is no directory above "src/a.cpp", though it begins like one.
  EXPECT_THAT(parse(text, {path("sr")}).error(), HasSubstr("none of its units is in the director"));
}

TEST_F(CompileCommandsTest, OfNoUseAreRefusedInASentence) {
  EXPECT_THAT(parse("").error(), HasSubstr("is no JSON"));
  EXPECT_THAT(parse("{}").error(), HasSubstr("is no compilation database"));
  EXPECT_THAT(parse("[]").error(), HasSubstr("no commands"));
  EXPECT_THAT(parse("[1]").error(), HasSubstr("entry 1: is no object"));
  EXPECT_THAT(read_compile_commands(path("build"), {}).error(),
              HasSubstr("CMAKE_EXPORT_COMPILE_COMMANDS"));
  EXPECT_THAT(read_compile_commands(path("nothing.json"), {}).error(),
              HasSubstr("No such file or directory"));
  EXPECT_THAT(read_compile_commands(path("build"), {path("nothing")}).error(),
              HasSubstr("is no directory"));
}

TEST_F(CompileCommandsTest, DamagedInAnyWayDoNoHarm) {
  const std::string text =
      R"([{"directory":"../src","file":"a.cpp","command":"ccache c++ -DA='b c' -I d -c a.cpp"},)"
      R"({"directory":"../src","file":"c.c","arguments":["cc","@x.rsp","-c","c.c"]}])";
  ASSERT_TRUE(parse(text));
  size_t refused = 0;
  const auto hold = [&](const std::string& damaged) {
    auto commands = parse(damaged);
    if (commands) {
      EXPECT_FALSE(commands->units.empty());
    } else {
      EXPECT_FALSE(commands.error().empty());
      ++refused;
    }
  };
  for (size_t size = 0; size < text.size(); ++size) hold(text.substr(0, size));
  EXPECT_EQ(refused, text.size());
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char byte : {'\0', '"', '[', '}', '\\', '\xff', '@', '-'}) {
      std::string damaged = text;
      damaged[at] = byte;
      hold(damaged);
    }
  }
}

TEST(StructureText, ComesBackAsItWas) {
  Structure structure;
  structure.units = 3;
  structure.classes = {{"k", "a::B", {"/a.h", 1}, {"base"},
                        {{"m_", "std::mutex", {"/a.h", 2}, SynchronisationKind::kMutex}}}};
  structure.functions = {{"f", "a::B::f", "k", {"_Zf"}, {"/a.cpp", 3}, true, false, {"o"},
                          {{"g", 4, true}}, {{"a::B::m_", 5}}}};
  structure.variables = {{"v", "sem_t", {"/b.cpp", 6}, SynchronisationKind::kSemaphore}};
  structure.failures = {{"/c.cpp", "why"}};
  structure.remarks = {"remark"};
  const std::string text = to_json(structure).dump();
  auto back = parse_structure(text);
  ASSERT_TRUE(back) << back.error();
  EXPECT_EQ(to_json(*back).dump(), text);
  EXPECT_EQ(back->functions[0].mentions[0].object, "a::B::m_");
  size_t refused = 0;
  for (size_t size = 0; size < text.size(); ++size) {
    if (!parse_structure(text.substr(0, size))) ++refused;
  }
  EXPECT_EQ(refused, text.size());
  EXPECT_THAT(parse_structure("{\"schema\":2}").error(), HasSubstr("schema 2"));
  EXPECT_THAT(parse_structure("{\"schema\":1,\"units\":\"x\"}").error(), HasSubstr("no structure"));
}

}  // namespace
}  // namespace auxin::analysis
