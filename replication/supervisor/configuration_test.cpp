// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/configuration.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

namespace auxin::supervisor {
namespace {

class ConfigurationTest : public ::testing::Test {
 protected:
  ConfigurationTest() {
    char pattern[] = "/dev/shm/auxin-test-XXXXXX";
    const int fd = mkstemp(pattern);
    if (fd >= 0) close(fd);
    path_ = pattern;
  }
  ~ConfigurationTest() override { unlink(path_.c_str()); }

  Result<Configuration> load(const std::string& text) {
    std::ofstream(path_) << text;
    return load_configuration(path_);
  }
  std::string error_of(const std::string& text) {
    auto loaded = load(text);
    return loaded ? "" : loaded.error();
  }

  std::string path_;
};

TEST_F(ConfigurationTest, EmptyFileGivesTheDefaults) {
  auto loaded = load("");
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_EQ(loaded->replicas, 3u);
  EXPECT_EQ(loaded->style, replication::Style::kSemiActive);
  EXPECT_TRUE(loaded->environment.empty());
}

TEST_F(ConfigurationTest, PrintedDefaultsAreTheDefaults) {
  auto loaded = load(default_configuration_text());
  ASSERT_TRUE(loaded) << loaded.error();
  const Configuration d;
  EXPECT_EQ(loaded->replicas, d.replicas);
  EXPECT_EQ(loaded->spin_ns, d.spin_ns);
  EXPECT_EQ(loaded->follower_poll_us, d.follower_poll_us);
  EXPECT_EQ(loaded->lag_bound_entries, d.lag_bound_entries);
  EXPECT_EQ(loaded->stall_ms, d.stall_ms);
  EXPECT_EQ(loaded->hang_ms, d.hang_ms);
  EXPECT_EQ(loaded->follower_one_cpu, d.follower_one_cpu);
  EXPECT_EQ(loaded->order_every_lock, d.order_every_lock);
  EXPECT_EQ(loaded->compare, d.compare);
}

TEST_F(ConfigurationTest, CommentedKeysOfThePrintedDefaultsAreKeysToo) {
  std::string text = default_configuration_text();
  // Every line of the form `# key = value` is one that a user may uncomment.
  for (size_t at = 0; (at = text.find("\n# ", at)) != std::string::npos;) {
    const size_t end = text.find('\n', at + 1);
    const std::string line = text.substr(at + 3, end - at - 3);
    const size_t equals = line.find(" = ");
    const bool key = equals != std::string::npos &&
                     line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == equals;
    if (key) text.erase(at + 1, 2);
    at += 1;
  }
  auto loaded = load(text);
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_EQ(loaded->name, "bank");
  EXPECT_EQ(loaded->log_entries, 67108864u);
  EXPECT_EQ(loaded->log_payload_bytes, uint64_t{1} << 32);
  EXPECT_EQ(loaded->server.size(), 3u);
  EXPECT_FALSE(loaded->meta_object.empty());
}

TEST_F(ConfigurationTest, EveryKeyIsTaken) {
  auto loaded = load(R"(
name = "bank-1"
replicas = 5
style = "none"
state_dir = "/x"
ready_file = "/y"
server = ["a", "b"]
start = "fresh"
verbosity = "quiet"
[log]
entries = 8192
payload = 2097152
[follower]
spin_ns = 1
poll_us = 2
lag_bound_entries = 17
stall_ms = 4
one_cpu = false
[leader]
hang_ms = 500
[locks]
order = "all"
[replies]
compare = "length"
[extension]
meta_object = "/m.so"
[maps]
directory = "/maps"
[environment]
ORBgiopMaxMsgSize = "1000"
ORBconnectionWatchImmediate = "0"
)");
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_EQ(loaded->name, "bank-1");
  EXPECT_EQ(loaded->replicas, 5u);
  EXPECT_EQ(loaded->style, replication::Style::kNone);
  EXPECT_EQ(loaded->state_root, "/x");
  EXPECT_EQ(loaded->ready_file, "/y");
  EXPECT_EQ(loaded->server, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(loaded->start, StartMode::kFresh);
  EXPECT_EQ(loaded->verbosity, Verbosity::kQuiet);
  EXPECT_EQ(loaded->log_entries, 8192u);
  EXPECT_EQ(loaded->log_payload_bytes, 2097152u);
  EXPECT_EQ(loaded->spin_ns, 1u);
  EXPECT_EQ(loaded->follower_poll_us, 2u);
  EXPECT_EQ(loaded->lag_bound_entries, 17u);
  EXPECT_EQ(loaded->stall_ms, 4u);
  EXPECT_FALSE(loaded->follower_one_cpu);
  EXPECT_EQ(loaded->hang_ms, 500u);
  EXPECT_TRUE(loaded->order_every_lock);
  EXPECT_EQ(loaded->compare, replication::Compare::kLength);
  EXPECT_EQ(loaded->meta_object, "/m.so");
  EXPECT_EQ(loaded->map_directory, "/maps");
  EXPECT_EQ(loaded->environment.at("ORBgiopMaxMsgSize"), "1000");
  EXPECT_EQ(loaded->environment.at("ORBconnectionWatchImmediate"), "0");
}

TEST_F(ConfigurationTest, CheckpointsMayFindTheirOwnInterval) {
  auto loaded = load("[checkpoint]\nevery_s = \"auto\"\n");
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_EQ(loaded->checkpoint_every_s, replication::kAutomaticInterval);
  EXPECT_NE(error_of("[checkpoint]\nevery_s = \"often\"\n").find("or \"auto\""),
            std::string::npos);
}

TEST_F(ConfigurationTest, TheMethodOfCheckpointsCanBeForced) {
  auto loaded = load("[checkpoint]\nmethod = \"fork\"\n");
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_EQ(loaded->checkpoint_method, checkpoint::TrackingMethod::kFork);
  EXPECT_NE(error_of("[checkpoint]\nmethod = \"fault\"\n").find("wp-async"), std::string::npos)
      << "not for whole processes";
}

TEST_F(ConfigurationTest, WhatIsWrongIsNamedWithItsLine) {
  const struct {
    const char* text;
    const char* expected;
  } kCases[] = {
      {"replicas = 0", ":1: 'replicas' must be a whole number from 1 to 8"},
      {"\nreplicas = \"3\"", ":2: 'replicas' must be"},
      {"name = \"a/b\"", ":1: 'name' must have"},
      {"style = \"active\"", "must be one of \"none\", \"semi-active\""},
      {"[log]\nentries = 5000", ":2: 'log.entries' must be a power of two"},
      {"[log]\npayload = \"3GiB\"", ":2: 'log.payload' must be a power of two"},
      {"[log]\npayload = \"much\"", ":2: 'log.payload' must be a size"},
      {"server = []", "'server' must be an array"},
      {"server = [1]", "'server' must be an array"},
      {"[follower]\none_cpu = 1", "must be true or false"},
      {"[environment]\nLD_PRELOAD = \"x\"", "is set by Auxin itself"},
      {"[environment]\nX = 1", ":2: 'environment.X' must be a string"},
      {"spin_ns = 5", "unknown key 'spin_ns'; did you mean 'follower.spin_ns'?"},
      {"[follower]\nspin_nss = 5", "unknown key 'follower.spin_nss'; did you mean"},
      {"[folower]\nspin_ns = 5", ":1: unknown key 'folower'"},
      {"completely_different_thing = 5", "unknown key 'completely_different_thing' ("},
      {"replicas = ", ":1: "},
  };
  for (const auto& c : kCases) {
    const std::string error = error_of(c.text);
    EXPECT_NE(error.find(c.expected), std::string::npos) << c.text << "\n" << error;
    EXPECT_TRUE(error.starts_with(path_)) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

TEST(ParseSize, TakesUnits) {
  uint64_t bytes = 0;
  EXPECT_TRUE(parse_size("4096", &bytes));
  EXPECT_EQ(bytes, 4096u);
  EXPECT_TRUE(parse_size("512 MiB", &bytes));
  EXPECT_EQ(bytes, uint64_t{512} << 20);
  EXPECT_TRUE(parse_size("1TiB", &bytes));
  EXPECT_EQ(bytes, uint64_t{1} << 40);
  for (const char* bad : {"", "GiB", "-1", "0", "1GB", "1 GiB more", "99999999999TiB"}) {
    EXPECT_FALSE(parse_size(bad, &bytes)) << bad;
  }
}

}  // namespace
}  // namespace auxin::supervisor
