// SPDX-License-Identifier: Apache-2.0
//
// Stable memories on file systems that are full, or that lack what the usual way of creating needs.
//
// Method: a tmpfs of a few MiB, mounted in a mount namespace of the test's child, so nothing is
// left behind; where neither root nor a user namespace allows that, those tests are not
// registered. What
// a kernel or file system lacks is made with a seccomp filter that answers as it would.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "stmemu/log/stable_log.h"
#include "stmemu/test_memory.h"

namespace auxin::stm {
namespace {

constexpr uint64_t kMebibyte = uint64_t{1} << 20;
constexpr Layout kLargeLayout = {8192, uint64_t{1} << 20, 64 * kMebibyte};  // 64 MiB of entries

bool enter_mount_namespace() {
  if (geteuid() == 0) return unshare(CLONE_NEWNS) == 0;
  const std::string map = std::to_string(geteuid()) + " " + std::to_string(geteuid()) + " 1";
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  const int fd = open("/proc/self/uid_map", O_WRONLY);
  const bool mapped = write(fd, map.data(), map.size()) == static_cast<ssize_t>(map.size());
  close(fd);
  return mapped;
}

// In a child: a tmpfs of that size on the directory.
bool mount_small(const std::string& directory, uint64_t size_bytes) {
  const std::string options = "size=" + std::to_string(size_bytes) + ",mode=0700";
  return enter_mount_namespace() &&
         mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("auxin-test", directory.c_str(), "tmpfs", 0, options.c_str()) == 0;
}

std::vector<const char*> small_file_systems() {
  TestDirectory directory;
  const pid_t child = in_child([&] { return mount_small(directory.path(), kMebibyte) ? 0 : 1; });
  return end_of(child) == 0 ? std::vector{"tmpfs"} : std::vector<const char*>{};
}

// Takes all that is left of the file system.
void fill(const std::string& path) {
  const int fd = open(path.c_str(), O_CREAT | O_WRONLY, 0600);
  const std::vector<char> block(4096, 'f');
  while (write(fd, block.data(), block.size()) > 0) {
  }
  EXPECT_EQ(errno, ENOSPC);
  close(fd);
}

class SmallFileSystemTest : public testing::TestWithParam<const char*> {
 protected:
  // Runs `body` on a file system of that size; its failed expectations fail the test.
  template <typename Body>
  void on_file_system(uint64_t size_bytes, Body body) {
    EXPECT_EQ(end_of(in_child([&] {
                if (!mount_small(directory_.path(), size_bytes)) return 1;
                body();
                return HasFailure() ? 2 : 0;
              })),
              0);
  }
  TestDirectory directory_;
  std::string path_ = directory_.file("memory");
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SmallFileSystemTest);
INSTANTIATE_TEST_SUITE_P(OfAFewMebibytes, SmallFileSystemTest,
                         testing::ValuesIn(small_file_systems()),
                         [](const auto& parameter) { return std::string(parameter.param); });

TEST_P(SmallFileSystemTest, CreateRefusesWhatWouldSoonBeFullAndSaysHowMuchItTakes) {
  on_file_system(4 * kMebibyte, [&] {
    Result<StableMemory> made = StableMemory::create(path_, kLargeLayout, kTestControlVersion);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error(), path_ + ": not enough space: the file system of " + directory_.path() +
                                " has 4.0 MiB free, a stable memory of this layout needs at least "
                                "16.1 MiB; free some, enlarge it, or choose another directory");
    EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
    create_or_abort(path_, kSmallLayout);  // one that is small itself is fine
  });
}

TEST_P(SmallFileSystemTest, WhatIsReservedCanBeStoredOnAFullFileSystemAndMoreIsRefused) {
  on_file_system(24 * kMebibyte, [&] {
    StableMemory memory = create_or_abort(path_, kLargeLayout);
    ASSERT_TRUE(memory.reserve_log(1000, 100'000));
    fill(directory_.file("filler"));
    memset(memory.entries(), 0, 1000 * 64);
    memset(memory.payload(), 'p', 100'000);
    memset(memory.control(), 'c', kLargeLayout.control_size_bytes);
    memset(memory.log_page(), 0, 4096);
    EXPECT_TRUE(memory.reserve_log(1000, 100'000));
    errno = 77;
    EXPECT_FALSE(memory.reserve_log(kLargeLayout.entry_capacity, 0));
    EXPECT_EQ(errno, 77) << "hooks reserve, and keep errno";
    EXPECT_FALSE(memory.reserve_log(0, kLargeLayout.payload_size_bytes));
    ASSERT_TRUE(std::filesystem::remove(directory_.file("filler")));
    EXPECT_FALSE(memory.reserve_log(kLargeLayout.entry_capacity, 0)) << "24 MiB hold no 64 MiB";
  });
}

TEST_P(SmallFileSystemTest, WhereTheHeadStartDoesNotFitWhatIsAskedForDoes) {
  on_file_system(17 * kMebibyte, [&] {
    StableMemory memory = create_or_abort(path_, kLargeLayout);
    EXPECT_TRUE(memory.reserve_log(10, 0));        // the 16 MiB ahead that there are
    EXPECT_TRUE(memory.reserve_log(10, 100'000));  // no 16 MiB more
    memset(memory.payload(), 'p', 100'000);
    EXPECT_FALSE(memory.reserve_log(10, 2 * kMebibyte));
  });
}

TEST_P(SmallFileSystemTest, AFollowerAtTheEndOfAFullLogReadsOnWithoutASignal) {
  on_file_system(24 * kMebibyte, [&] {
    StableMemory memory = create_or_abort(path_, kLargeLayout);
    ASSERT_TRUE(memory.reserve_log(64, 4096));
    fill(directory_.file("filler"));
    // Beyond what is reserved even a load would fault.
    StableLog log(memory);
    LogEntry entry;
    for (uint64_t position = 0; position < kLargeLayout.entry_capacity; position += 64) {
      ASSERT_EQ(log.read(position, &entry), StableLog::Read::kNotYet);
    }
    LogEntry forged{};
    forged.kind = 1;
    log.append(forged);
    // A damaged size must not lead the reader out there either.
    const uint64_t size = uint64_t{60 * kMebibyte} << 32;
    memcpy(static_cast<char*>(memory.entries()) + 40, &size, sizeof(size));
    EXPECT_EQ(log.read(0, &entry), StableLog::Read::kCorrupt);
  });
}

// --- without O_TMPFILE, without fallocate, without privilege ---

bool install(std::vector<sock_filter> code) {
  const sock_fprog program = {static_cast<unsigned short>(code.size()), code.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// From here on this process's `call` fails with `error` if argument `index` has all bits of `mask`.
bool refuse_call(int call, int index, uint32_t mask, int error) {
  const uint32_t argument = offsetof(seccomp_data, args) + static_cast<uint32_t>(index) * 8;
  return install({
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mask, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  });
}

class LackingSystemTest : public testing::Test {
 protected:
  // Creates and uses a memory in a child, after `restrict`; nothing but the memory is left.
  template <typename Restrict>
  void create_after(Restrict restrict) {
    EXPECT_EQ(end_of(in_child([&] {
                if (!restrict()) return 1;
                StableMemory memory = create_or_abort(path_, kLargeLayout);
                if (!memory.reserve_log(100, 100)) return 2;
                if (StableMemory::create(path_, kLargeLayout, kTestControlVersion)) return 3;
                strcpy(static_cast<char*>(memory.control()), "made");
                return 0;
              })),
              0);
    EXPECT_STREQ(static_cast<char*>(open_or_abort(path_).control()), "made");
    const std::filesystem::directory_iterator files(directory_.path());
    EXPECT_EQ(std::distance(begin(files), end(files)), 1);
    struct stat status;
    ASSERT_EQ(stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode, static_cast<mode_t>(S_IFREG | 0600));
    EXPECT_EQ(status.st_nlink, 1u);
    EXPECT_GE(status.st_blocks * 512, 16 * static_cast<int64_t>(kMebibyte));
  }
  TestDirectory directory_;
  std::string path_ = directory_.file("memory");
};

TEST_F(LackingSystemTest, WithoutNamelessFilesATemporaryNameIsUsedAndRemoved) {
  create_after([] { return refuse_call(SYS_openat, 2, O_TMPFILE, EOPNOTSUPP); });
}

TEST_F(LackingSystemTest, WithoutThePrivilegeToLinkADescriptorItGoesThroughProc) {
  create_after([] { return refuse_call(SYS_linkat, 4, AT_EMPTY_PATH, ENOENT); });
}

TEST_F(LackingSystemTest, WithoutFallocateStorageIsTakenByTouching) {
  create_after([] { return refuse_call(SYS_fallocate, 0, 0, EOPNOTSUPP); });
}

TEST_F(LackingSystemTest, AFailureToLinkLeavesNoFile) {
  EXPECT_EQ(end_of(in_child([&] {
              if (!refuse_call(SYS_linkat, 0, 0, EPERM) || !refuse_call(SYS_link, 0, 0, EPERM) ||
                  !refuse_call(SYS_openat, 2, O_TMPFILE, EOPNOTSUPP)) {
                return 1;
              }
              Result<StableMemory> made =
                  StableMemory::create(path_, kLargeLayout, kTestControlVersion);
              return !made && made.error() == path_ + ": cannot give the new file its name: "
                                                      "Operation not permitted"
                         ? 0
                         : 2;
            })),
            0);
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
}

}  // namespace
}  // namespace auxin::stm
