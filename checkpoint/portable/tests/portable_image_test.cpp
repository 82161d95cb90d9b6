// SPDX-License-Identifier: Apache-2.0
//
// Goal: what was written is read back; whatever happens to the bytes is noticed.
// Method: one image with every kind of content; each bit of it turned, each end cut off; its writer
// ended at each step.
#include "checkpoint/portable/portable_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "checkpoint/store/file_calls.h"

namespace auxin::checkpoint {
namespace {

using testing::HasSubstr;

PortableImage example() {
  PortableImage image;
  image.made_realtime_ns = 1'700'000'000'000'000'001;
  image.lineage = 7;
  image.objects = {{"corbaloc::127.0.0.1:4711/Ledger", "IDL:omg.org/FT/Updateable:1.0",
                    {0, 1, 2, 255}, {{9}, {}, {8, 8}}},
                   {"file:/tmp/ior", "IDL:omg.org/FT/Checkpointable:1.0", {}, {}}};
  return image;
}

void expect_equal(const PortableImage& left, const PortableImage& right) {
  EXPECT_EQ(left.made_realtime_ns, right.made_realtime_ns);
  EXPECT_EQ(left.lineage, right.lineage);
  ASSERT_EQ(left.objects.size(), right.objects.size());
  for (size_t i = 0; i < left.objects.size(); ++i) {
    EXPECT_EQ(left.objects[i].reference, right.objects[i].reference);
    EXPECT_EQ(left.objects[i].repository_id, right.objects[i].repository_id);
    EXPECT_EQ(left.objects[i].state, right.objects[i].state);
    EXPECT_EQ(left.objects[i].updates, right.objects[i].updates);
  }
}

TEST(PortableImage, IsReadBackAsItWasWritten) {
  auto decoded = decode_portable_image(encode_portable_image(example()));
  ASSERT_TRUE(decoded) << decoded.error();
  expect_equal(*decoded, example());
}

TEST(PortableImage, EachTurnedBitIsNoticed) {
  std::vector<uint8_t> bytes = encode_portable_image(example());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    auto decoded = decode_portable_image(bytes);
    ASSERT_FALSE(decoded) << "bit " << bit;
    EXPECT_THAT(decoded.error(), HasSubstr("damaged"));
    bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
  }
}

TEST(PortableImage, EachCutAndEachAddedByteIsNoticed) {
  std::vector<uint8_t> bytes = encode_portable_image(example());
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_portable_image(std::span(bytes).first(size))) << size << " bytes";
  bytes.push_back(0);
  EXPECT_FALSE(decode_portable_image(bytes));
}

class PortableImageFile : public testing::Test {
 protected:
  PortableImageFile() {
    std::string pattern = testing::TempDir() + "portable-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    path_ = directory_ + "/image";
  }
  ~PortableImageFile() override { std::filesystem::remove_all(directory_); }

  std::string directory_, path_;
};

TEST_F(PortableImageFile, TakesTheOldOnesName) {
  PortableImage image = example();
  ASSERT_TRUE(write_portable_image(path_, image));
  image.lineage = 8;
  ASSERT_TRUE(write_portable_image(path_, image));
  auto read = read_portable_image(path_);
  ASSERT_TRUE(read) << read.error();
  expect_equal(*read, image);
  using Files = std::filesystem::directory_iterator;
  EXPECT_EQ(std::distance(Files(directory_), Files()), 1);
}

TEST_F(PortableImageFile, StaysWholeWhereTheNextCannotBeWritten) {
  ASSERT_TRUE(write_portable_image(path_, example()));
  std::filesystem::create_directory(directory_ + "/.unfinished-image.next");
  EXPECT_FALSE(write_portable_image(path_, {}));
  auto read = read_portable_image(path_);
  ASSERT_TRUE(read) << read.error();
  expect_equal(*read, example());
}

int steps_left = 0;
void end_at_step(FileStep) {
  if (steps_left-- == 0) _exit(9);
}

TEST_F(PortableImageFile, StaysWholeWhereverTheNextOnesWriterIsEnded) {
  ASSERT_TRUE(write_portable_image(path_, example()));
  PortableImage next = example();
  next.lineage = 8;
  int ended = 0;
  for (;; ++ended) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      steps_left = ended;
      FileCalls::set_before_step(end_at_step);
      const auto written = write_portable_image(path_, next);
      _exit(written ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    auto read = read_portable_image(path_);
    ASSERT_TRUE(read) << read.error();
    if (WEXITSTATUS(status) == 0) {  // over all that the ended ones have left
      expect_equal(*read, next);
      break;
    }
    ASSERT_EQ(WEXITSTATUS(status), 9);
    expect_equal(*read, example());
  }
  EXPECT_GE(ended, 5);  // created, written, on the disk, named, its name on the disk
}

TEST_F(PortableImageFile, ThatIsNotThereOrNoFileIsRefusedByName) {
  auto missing = read_portable_image(path_);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error(), HasSubstr(path_));
  EXPECT_FALSE(read_portable_image(directory_));
}

}  // namespace
}  // namespace auxin::checkpoint
