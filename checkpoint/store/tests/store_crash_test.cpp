// SPDX-License-Identifier: Apache-2.0
//
// Goal: a saver that is killed at any step leaves the image that was committed last, or the one it
// was committing; what a power failure takes (bytes and names that were not synchronised) is never
// more than that; and a full disk is an error that leaves the image as it was.
// Method: the same history of puts once for each of its steps, in a child that kills itself there,
// or is copied there with what is not synchronised torn off.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <random>

#include "checkpoint/store/file_calls.h"
#include "checkpoint/store/file_store.h"
#include "checkpoint/store/tests/store_test_directory.h"

namespace auxin::checkpoint {
namespace {

using test::message_to;
using test::view;
namespace fs = std::filesystem;

int steps_left = 0;
uint64_t committed = 0;  // by the last put that returned

Expected<std::unique_ptr<FileStore>> open_at(const std::string& path) {
  FileStoreOptions options;
  options.sync = true;
  return FileStore::open(path, options);
}

// Bases, increments, a compaction. Ends early if a put fails.
bool history(FileStore& store, const std::function<void()>& after_each) {
  const auto put = [&](uint64_t sequence, uint64_t from) {
    if (!store.put(view(message_to(sequence, from)))) return false;
    committed = sequence;
    after_each();
    return true;
  };
  return put(1, 0) && put(2, 1) && put(3, 2) && store.compact() && put(4, 3) && put(5, 0) &&
         put(6, 5) && put(8, 0) && put(9, 8);
}

// What a new process reads.
uint64_t readable(const std::string& path) {
  const auto store = open_at(path);
  EXPECT_TRUE(store) << store.outcome().sentence;
  Image image;
  if (!store || !(*store)->read(&image)) return 0;
  EXPECT_TRUE(test::is_consistent(image));
  return image.position().sequence;
}

TEST(StoreCrash, AKilledSaverLeavesTheLastImageAtEveryStep) {
  int steps = 0;
  for (bool died = true; died; ++steps) {
    test::StoreDirectory directory;
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      steps_left = steps;
      FileCalls::set_before_step([](FileStep) {
        if (steps_left-- == 0) kill(getpid(), SIGKILL);
      });
      auto store = open_at(directory.path());
      const bool done = store && history(**store, [&] {
        static_cast<void>(!write(ends[1], &committed, sizeof(committed)));
      });
      _exit(done ? 0 : 1);
    }
    close(ends[1]);
    uint64_t last = 0, sequence = 0;
    while (read(ends[0], &sequence, sizeof(sequence)) == sizeof(sequence)) last = sequence;
    close(ends[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    died = WIFSIGNALED(status);
    ASSERT_TRUE(died || WEXITSTATUS(status) == 0);
    const uint64_t after = readable(directory.path());
    const uint64_t next = last == 6 ? 8 : last + 1;
    ASSERT_TRUE(after == last || after == next)
        << "step " << steps << ": committed " << last << ", read " << after;
    // A saver that comes after it goes on.
    auto store = open_at(directory.path());
    ASSERT_TRUE(store);
    ASSERT_TRUE((*store)->put(view(message_to(after + 20, 0))));
    ASSERT_EQ((*store)->report().sequence, after + 20);
  }
  EXPECT_GT(steps, 40);
}

// The directory as a power failure at a step may leave it: files that were never synchronised are
// cut anywhere, and what was removed may still be there.
class PowerFailures {
 public:
  explicit PowerFailures(const std::string& path) : path_(path) {}

  void before(FileStep step) {
    ++steps_;
    for (int variant = 0; variant < 3; ++variant) check(variant);
    if (step == FileStep::kRemove) keep_names();
  }
  int steps() const { return steps_; }

 private:
  void keep_names() {
    for (const auto& entry : fs::directory_iterator(path_)) {
      const std::string name = entry.path().filename();
      if (name[0] != '.') fs::copy(entry.path(), removed_.path(name), kReplace);
    }
  }
  void check(int variant) {
    test::StoreDirectory crash;
    fs::create_directory(crash.path());
    if (variant == 2) {
      for (const auto& entry : fs::directory_iterator(removed_.path(""))) {
        fs::copy(entry.path(), crash.path() + "/" + entry.path().filename().string(), kReplace);
      }
    }
    for (const auto& entry : fs::directory_iterator(path_)) {
      const std::string name = entry.path().filename();
      const std::string to = crash.path() + "/" + name;
      fs::copy(entry.path(), to, kReplace);
      if (name[0] == '.' && variant > 0) fs::resize_file(to, random_() % 5000);
    }
    const uint64_t after = readable(crash.path());
    const uint64_t next = committed == 6 ? 8 : committed + 1;
    EXPECT_TRUE(after == committed || after == next)
        << "step " << steps_ << ": committed " << committed << ", read " << after;
  }

  static constexpr fs::copy_options kReplace = fs::copy_options::overwrite_existing;
  const std::string path_;
  test::StoreDirectory removed_;
  std::mt19937_64 random_{3};
  int steps_ = 0;
};

PowerFailures* failures = nullptr;

TEST(StoreCrash, APowerFailureAtEveryStepTakesNothingThatWasCommitted) {
  test::StoreDirectory directory;
  auto store = open_at(directory.path());
  ASSERT_TRUE(store);
  PowerFailures of(directory.path());
  failures = &of;
  committed = 0;
  // Stores that look at the copies make steps of their own: these are not part of the history.
  static bool inside = false;
  FileCalls::set_before_step([](FileStep step) {
    if (inside) return;
    inside = true;
    failures->before(step);
    inside = false;
  });
  EXPECT_TRUE(history(**store, [] {}));
  FileCalls::set_before_step(nullptr);
  EXPECT_GT(of.steps(), 40);
}

TEST(StoreCrash, AFileThatMayNotGrowIsAnErrorAndTheImageStays) {
  test::StoreDirectory directory;
  auto store = open_at(directory.path());
  ASSERT_TRUE(store);
  ASSERT_TRUE((*store)->put(view(message_to(1, 0))));
  const rlimit before = [] {
    rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    return limit;
  }();
  const rlimit little{1000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &little), 0);
  const Outcome outcome = (*store)->put(view(message_to(2, 1)));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(outcome.status, AUXIN_CHECKPOINT_NO_SPACE) << outcome.sentence;
  EXPECT_TRUE((*store)->put(view(message_to(2, 1)))) << "the same, when there is room again";
  store->reset();
  EXPECT_EQ(readable(directory.path()), 2u);
}

TEST(StoreCrash, AFullDiskIsAnErrorAndTheImageStays) {
  test::StoreDirectory directory;
  const std::string mountpoint = directory.path("disk");
  fs::create_directory(mountpoint);
  const pid_t child = fork();
  if (child == 0) {
    // A mount of its own, which ends with the child.
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) ||
        mount("tmpfs", mountpoint.c_str(), "tmpfs", 0, "size=64k") != 0) {
      _exit(77);
    }
    auto store = open_at(mountpoint + "/store");
    uint64_t sequence = 1;
    if (!store || !(*store)->put(view(message_to(1, 0)))) _exit(2);
    Outcome outcome = Outcome::ok();
    while (outcome && sequence < 100) {
      outcome = (*store)->put(view(message_to(sequence + 1, sequence)));
      if (outcome) ++sequence;
    }
    if (outcome.status != AUXIN_CHECKPOINT_NO_SPACE) _exit(3);
    if (outcome.sentence.find("No space left") == std::string::npos) _exit(4);
    store->reset();
    if (readable(mountpoint + "/store") != sequence) _exit(5);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
    GTEST_SKIP() << "mounts of one's own are not permitted";
  }
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace auxin::checkpoint
