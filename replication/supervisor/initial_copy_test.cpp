// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/initial_copy.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace auxin::supervisor {
namespace {

namespace fs = std::filesystem;
using Paths = std::vector<std::string>;

TEST(ReplicaPaths, AreFoundInTheUsualFormsOfArguments) {
  auto paths = [](const std::string& argument) { return paths_of_replica({argument}, 2, "/work"); };
  EXPECT_EQ(paths("/srv/{replica}"), Paths{"/srv/2"});
  EXPECT_EQ(paths("/srv/{replica}/log/file"), Paths{"/srv/2"});
  EXPECT_EQ(paths("/srv/run-{replica}.d/x"), Paths{"/srv/run-2.d"});
  EXPECT_EQ(paths("data/{replica}"), Paths{"/work/data/2"});
  EXPECT_EQ(paths("--data=/srv/{replica}/db"), Paths{"/srv/2"});
  EXPECT_EQ(paths("-d/srv/{replica}"), Paths{"/srv/2"});
  EXPECT_EQ(paths("dir=/srv/{replica}"), Paths{"/srv/2"});
  EXPECT_EQ(paths("/srv/x={replica}"), Paths{"/srv/x=2"});
  EXPECT_EQ(paths("/srv/plain"), Paths{});
  EXPECT_EQ(paths("--number={replica}"), Paths{"/work/2"});
}

TEST(ReplicaPaths, NeverNameAParentOrARoot) {
  for (const char* argument : {"{replica}/..", "/{replica}/../..", "../{replica}/../.."}) {
    for (const std::string& path : paths_of_replica({argument}, 1, "/work/here")) {
      EXPECT_EQ(fs::path(path).filename(), "1") << argument;
    }
  }
}

TEST(WithReplica, ReplacesEveryPlaceholder) {
  EXPECT_EQ(with_replica("{replica}/a-{replica}", 12), "12/a-12");
  EXPECT_EQ(with_replica("{Replica}", 1), "{Replica}");
}

class InitialCopyTest : public ::testing::Test {
 protected:
  InitialCopyTest() {
    char pattern[] = "/dev/shm/auxin-test-XXXXXX";
    directory_ = mkdtemp(pattern);
    fs::create_directories(directory_ + "/state");
  }
  ~InitialCopyTest() override {
    std::error_code error;
    fs::remove_all(directory_, error);
  }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name));
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  InitialCopy copy() const { return InitialCopy(path("state/initial")); }

  std::string directory_;
};

TEST_F(InitialCopyTest, PutsBackWhatWasThereAndRemovesWhatWasNot) {
  fs::create_directories(path("data/0/deep"));
  write("data/0/deep/file", "old");
  write("data/0/gone", "was here");
  fs::create_symlink("deep/file", path("data/0/link"));
  chmod(path("data/0/gone").c_str(), 0640);
  fs::create_directories(path("data/1"));
  const std::vector<std::string> arguments = {path("data/{replica}"), path("absent-{replica}")};
  auto taken = copy().take(arguments, 2, "/");
  ASSERT_TRUE(taken) << taken.error();

  write("data/0/deep/file", "new and longer");
  fs::remove(path("data/0/gone"));
  fs::remove(path("data/0/link"));
  write("data/0/added", "later");
  write("data/1/added", "stays: another replica's");
  write("absent-0", "made by the server");
  auto back = copy().put_back(0);
  ASSERT_TRUE(back) << back.error();

  EXPECT_EQ(read("data/0/deep/file"), "old");
  EXPECT_EQ(read("data/0/gone"), "was here");
  struct stat status;
  ASSERT_EQ(stat(path("data/0/gone").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
  EXPECT_EQ(fs::read_symlink(path("data/0/link")), "deep/file");
  EXPECT_FALSE(fs::exists(path("data/0/added")));
  EXPECT_FALSE(fs::exists(path("absent-0")));
  EXPECT_TRUE(fs::exists(path("data/1/added")));
}

TEST_F(InitialCopyTest, CanBePutBackAgainAndAgain) {
  fs::create_directories(path("data/0"));
  write("data/0/file", "first");
  ASSERT_TRUE(copy().take({path("data/{replica}")}, 1, "/"));
  for (int i = 0; i < 3; ++i) {
    write("data/0/file", "changed");
    ASSERT_TRUE(copy().put_back(0));
    EXPECT_EQ(read("data/0/file"), "first");
  }
}

TEST_F(InitialCopyTest, WithoutPlaceholdersNothingIsMade) {
  ASSERT_TRUE(copy().take({"/etc", "--x=/usr"}, 3, "/"));
  EXPECT_FALSE(fs::exists(path("state/initial")));
  EXPECT_TRUE(copy().put_back(0));
}

TEST_F(InitialCopyTest, DamagedListIsAnError) {
  fs::create_directories(path("data/0"));
  ASSERT_TRUE(copy().take({path("data/{replica}")}, 1, "/"));
  write("state/initial/list.json", "{ half");
  auto back = copy().put_back(0);
  ASSERT_FALSE(back);
  EXPECT_NE(back.error().find("list.json: damaged"), std::string::npos) << back.error();
  EXPECT_TRUE(fs::exists(path("data/0"))) << "nothing was touched";
}

}  // namespace
}  // namespace auxin::supervisor
