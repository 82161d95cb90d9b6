// SPDX-License-Identifier: Apache-2.0
#include "libmeta_os/counters.h"

#include <gtest/gtest.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <string>
#include <thread>

namespace auxin::os {
namespace {

CounterRow sum_of(uint16_t site_class) {
  static CounterRow rows[kMaxSiteClasses];
  sum_counters(rows);
  return rows[site_class];
}

TEST(Counters, SumOverThreadsThatAreGone) {
  const uint16_t mine = site_class("libsum.so", "");
  const CounterRow before = sum_of(mine);
  for (int i = 0; i < 8; ++i) {
    std::thread([mine] {
      for (int k = 0; k < 100; ++k) ++shard().rows[mine].total;
      ++shard().rows[mine].intercepted;
      ++shard().rows[mine].ordered;
    }).join();
  }
  const CounterRow after = sum_of(mine);
  EXPECT_EQ(after.total - before.total, 800u);
  EXPECT_EQ(after.intercepted - before.intercepted, 8u);
  EXPECT_EQ(after.ordered - before.ordered, 8u);
}

TEST(Counters, AShardIsTakenOverByALaterThread) {
  std::set<CounterShard*> seen;
  for (int i = 0; i < 400; ++i) {
    std::thread([&seen] { seen.insert(&shard()); }).join();
  }
  EXPECT_EQ(seen.size(), 1u);
}

TEST(Counters, MoreThreadsThanShardsShareTheLastOne) {
  const uint16_t mine = site_class("libmany.so", "");
  std::atomic<unsigned> ready{0};
  std::atomic<bool> go_on{false};
  std::vector<std::thread> threads;
  std::set<CounterShard*> seen;
  std::atomic<CounterShard*> shards[kMaxShards + 20] = {};
  for (auto& place : shards) {
    threads.emplace_back([&, mine] {
      place = &shard();
      ++shard().rows[mine].total;
      ++ready;
      go_on.wait(false);
    });
  }
  while (ready < kMaxShards + 20) std::this_thread::yield();
  for (auto& place : shards) seen.insert(place.load());
  EXPECT_LE(seen.size(), size_t{kMaxShards});
  EXPECT_TRUE(seen.contains(&counters().shards[kMaxShards - 1]));
  go_on = true;
  go_on.notify_all();
  for (auto& each : threads) each.join();
}

TEST(Counters, ASiteClassIsMadeOnce) {
  const uint16_t a = site_class("liba.so", "upcall");
  EXPECT_NE(a, 0);
  EXPECT_EQ(site_class("liba.so", "upcall"), a);
  EXPECT_NE(site_class("liba.so", ""), a);
  EXPECT_STREQ(counters().classes[a].library, "liba.so");
  EXPECT_STREQ(counters().classes[a].join_point, "upcall");
}

TEST(Counters, ALongNameIsCutAndStillTheSame) {
  const std::string name(100, 'x');
  const uint16_t a = site_class(name.c_str(), "");
  EXPECT_EQ(site_class(name.c_str(), ""), a);
  EXPECT_EQ(strlen(counters().classes[a].library), 63u);
}

TEST(Counters, ThreadsThatAddTheSameClassAgree) {
  std::atomic<uint16_t> given[8] = {};
  std::vector<std::thread> threads;
  for (auto& place : given) {
    threads.emplace_back([&place] { place = site_class("libraced.so", "both"); });
  }
  for (auto& each : threads) each.join();
  for (auto& place : given) EXPECT_EQ(place.load(), given[0].load());
}

TEST(Counters, AFullTableGivesClassZero) {
  for (unsigned i = 0; i < kMaxSiteClasses; ++i) site_class(std::to_string(i).c_str(), "fill");
  EXPECT_EQ(counters().class_count.load(), kMaxSiteClasses);
  EXPECT_EQ(site_class("one more", ""), 0);
}

TEST(Counters, TheBlockIsNamedAndHasNoDescriptor) {
  EXPECT_EQ(counters().magic, kCounterMagic);
  std::ifstream maps("/proc/self/maps");
  const std::string text{std::istreambuf_iterator<char>(maps), {}};
  EXPECT_NE(text.find("/memfd:auxin-counters"), std::string::npos);
  for (int fd = 0; fd < 64; ++fd) {
    char target[256] = {};
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    if (readlink(link.c_str(), target, sizeof(target) - 1) > 0) {
      EXPECT_EQ(strstr(target, "auxin-counters"), nullptr);
    }
  }
}

TEST(Counters, AForkedChildCountsForItself) {
  shard().rows[0].total = 5;
  const pid_t child = fork();
  if (child == 0) {
    keep_only_this_shard();
    shard().rows[0].total = 9;
    _exit(counters().shards[0].in_use == static_cast<uint32_t>(getpid()) ||
                  this_shard->in_use == static_cast<uint32_t>(getpid())
              ? 0
              : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(shard().rows[0].total, 5u);
}

}  // namespace
}  // namespace auxin::os
