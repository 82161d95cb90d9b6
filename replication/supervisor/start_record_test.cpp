// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/start_record.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace auxin::supervisor {
namespace {

namespace fs = std::filesystem;
using ::testing::Test;

class StartRecordTest : public Test {
 protected:
  StartRecordTest() {
    char pattern[] = "/dev/shm/auxin-test-XXXXXX";
    directory_ = mkdtemp(pattern);
    record_.server = {"./server", "a b", "\xff"};
    record_.working_directory = "/work";
    record_.root_created = true;
  }
  ~StartRecordTest() override {
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
  }

  std::string path() const { return directory_ + "/start.json"; }
  void expect_unreadable(const std::string& reason) const {
    const auto loaded = StartRecord::load(directory_);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error(), path() + ": " + reason);
  }

  std::string directory_;
  StartRecord record_;
};

TEST_F(StartRecordTest, IsReadAsItWasWritten) {
  ASSERT_TRUE(record_.save(directory_));
  auto loaded = StartRecord::load(directory_);
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_TRUE(loaded->same_server(record_.server));
  EXPECT_EQ(loaded->working_directory, "/work");
  EXPECT_TRUE(loaded->root_created);
  struct stat status;
  ASSERT_EQ(stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(StartRecordTest, WhyItCannotBeReadIsTold) {
  expect_unreadable("cannot read: No such file or directory");
  fs::create_directory(path());
  expect_unreadable("cannot read: Is a directory");
  fs::remove(path());
  std::ofstream(path()) << "{";
  expect_unreadable("damaged");
}

TEST_F(StartRecordTest, SymbolicLinkIsNotFollowed) {
  ASSERT_TRUE(record_.save(directory_));
  fs::rename(path(), directory_ + "/elsewhere");
  fs::create_symlink(directory_ + "/elsewhere", path());
  expect_unreadable("is a symbolic link; put the file itself there");
}

TEST_F(StartRecordTest, SymbolicLinkIsNotWrittenThrough) {
  std::ofstream(directory_ + "/victim") << "precious";
  fs::create_symlink(directory_ + "/victim", path() + ".new");
  ASSERT_TRUE(record_.save(directory_));
  EXPECT_EQ(fs::file_size(directory_ + "/victim"), 8u);
}

TEST_F(StartRecordTest, WhyItCannotBeWrittenIsToldAndNothingIsLeft) {
  const auto absent = record_.save(directory_ + "/absent");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error(), directory_ + "/absent/start.json: cannot write: No such file or "
                                         "directory; choose another --state-dir");
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small = {10, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const auto cut = record_.save(directory_);
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_DFL);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error(), path() + ": cannot write: File too large; choose another --state-dir");
  EXPECT_TRUE(fs::is_empty(directory_));
}

}  // namespace
}  // namespace auxin::supervisor
