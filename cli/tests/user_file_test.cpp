// SPDX-License-Identifier: Apache-2.0
//
// Goal: a file of the user's is whole or as it was. Method: what a test can make fail is made to.
#include "cli/user_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace auxin::cli {
namespace {

namespace fs = std::filesystem;

class UserFileTest : public testing::Test {
 protected:
  UserFileTest() {
    std::string name = fs::temp_directory_path().string() + "/auxin-user-file-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~UserFileTest() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ / name; }
  static std::string text_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static unsigned mode_of(const std::string& path) {
    struct stat there{};
    EXPECT_EQ(stat(path.c_str(), &there), 0);
    return there.st_mode & 0777;
  }
  size_t files() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(directory_), fs::directory_iterator()));
  }
  fs::path directory_;
};

TEST_F(UserFileTest, IsTheOwnersAloneWhereThatIsAskedFor) {
  const mode_t mask = umask(022);
  EXPECT_FALSE(write_file(path("a"), "text", Readers::kOwner));
  EXPECT_FALSE(write_file(path("b"), "text", Readers::kAnyone));
  umask(mask);
  EXPECT_EQ(text_of(path("a")), "text");
  EXPECT_EQ(mode_of(path("a")), 0600u);
  EXPECT_EQ(mode_of(path("b")), 0644u);
  EXPECT_EQ(files(), 2u) << "nothing unfinished is left";
}

TEST_F(UserFileTest, ReplacesWhatALinkPointsTo) {
  std::ofstream(path("target")) << "before";
  fs::create_symlink(path("target"), path("link"));
  EXPECT_FALSE(write_file(path("link"), "after", Readers::kOwner));
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(text_of(path("target")), "after");
}

TEST_F(UserFileTest, IsNeverWrittenOverWhatIsNoOrdinaryFile) {
  fs::create_directory(path("directory"));
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_NE(write_file(path("directory"), "x", Readers::kOwner)->message.find("Is a directory"),
            std::string::npos);
  EXPECT_NE(write_file(path("pipe"), "x", Readers::kOwner)->message.find("no ordinary file"),
            std::string::npos);
  EXPECT_TRUE(write_file(path("new/"), "x", Readers::kOwner));
  EXPECT_TRUE(write_file("", "x", Readers::kOwner));
  EXPECT_TRUE(fs::is_fifo(path("pipe")));
  EXPECT_EQ(files(), 2u);
}

TEST_F(UserFileTest, SaysBeforehandThatItsDirectoryIsNotThere) {
  const auto error = why_not_writable(path("absent/file"));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->message,
            path("absent/file") + ": can't be written: No such file or directory");
  EXPECT_FALSE(why_not_writable(path("file")));
  EXPECT_FALSE(fs::exists(path("file"))) << "the question makes no file";
}

// /proc lets nobody make a file, root included: what fails late leaves nothing.
TEST_F(UserFileTest, SaysWhyItFailed) {
  const auto error = write_file("/proc/auxin-page.html", "x", Readers::kOwner);
  ASSERT_TRUE(error);
  EXPECT_TRUE(error->message.starts_with("/proc/auxin-page.html: can't be written: "))
      << error->message;
}

}  // namespace
}  // namespace auxin::cli
