// SPDX-License-Identifier: Apache-2.0
//
// Creating and opening stable memories: what is there afterwards, and everything that is refused.
#include "stmemu/log/stable_memory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "stmemu/log/log_area.h"
#include "stmemu/log/stable_log.h"
#include "stmemu/memory/superblock.h"
#include "stmemu/test_memory.h"
#include "stmemu/transaction/activation.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {
namespace {

using testing::HasSubstr;

constexpr Layout kLargeLayout = {8192, uint64_t{1} << 22, uint64_t{1} << 30};  // 1.25 GiB, sparse

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  chmod(path.c_str(), 0600);
}

uint64_t stored_bytes(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_blocks) * 512 : 0;
}

class StableMemoryTest : public testing::Test {
 protected:
  std::string error_of_create(const std::string& path, const Layout& layout = kSmallLayout) {
    Result<StableMemory> made = StableMemory::create(path, layout, kTestControlVersion);
    return made ? "created" : made.error();
  }
  std::string error_of_open(const std::string& path, uint32_t version = kTestControlVersion) {
    Result<StableMemory> opened = StableMemory::open(path, version);
    return opened ? "opened" : opened.error();
  }
  // A small memory's bytes, for damaging.
  std::string good_bytes() {
    create_or_abort(directory_.file("good"), kSmallLayout);
    return read_file(directory_.file("good"));
  }
  // Where the group's area begins in such a memory, whatever the area's size.
  static uint64_t area_offset() { return memory_file_bytes(kGroupBankBytes); }
  static LogAreaHeader header_in(const std::string& bytes) {
    LogAreaHeader header;
    memcpy(&header, bytes.data() + area_offset(), sizeof(header));
    return header;
  }
  static void put_header(std::string& bytes, LogAreaHeader header) {
    header.checksum = header_checksum(header);
    memcpy(bytes.data() + area_offset(), &header, sizeof(header));
  }
  // Says in both superblocks that the plain area is `pages` long.
  static void put_plain_pages(std::string& bytes, uint32_t pages) {
    for (int bank : {0, 1}) {
      char* const place = bytes.data() + static_cast<uint64_t>(bank) * kGroupBankBytes;
      Superblock block;
      memcpy(&block, place, sizeof(block));
      block.plain_pages = pages;
      block.checksum = superblock_checksum(block, bank);
      memcpy(place, &block, sizeof(block));
    }
  }

  TestDirectory directory_;
  std::string path_ = directory_.file("memory");
};

TEST_F(StableMemoryTest, CreatedThenOpenedItIsTheSameMemory) {
  StableMemory made = create_or_abort(path_, kSmallLayout);
  StableMemory opened = open_or_abort(path_);
  ASSERT_TRUE(made.valid() && opened.valid());
  EXPECT_EQ(opened.path(), path_);
  EXPECT_EQ(opened.layout().control_size_bytes, kSmallLayout.control_size_bytes);
  EXPECT_EQ(opened.layout().entry_capacity, kSmallLayout.entry_capacity);
  EXPECT_EQ(opened.layout().payload_size_bytes, kSmallLayout.payload_size_bytes);
  EXPECT_EQ(opened.seed(), made.seed());
  memcpy(made.control(), "control", 8);
  memcpy(made.entries(), "entries", 8);
  memcpy(made.payload(), "payload", 8);
  EXPECT_STREQ(static_cast<char*>(opened.control()), "control");
  EXPECT_STREQ(static_cast<char*>(opened.entries()), "entries");
  EXPECT_STREQ(static_cast<char*>(opened.payload()), "payload");
}

TEST_F(StableMemoryTest, ItsPartsLieApartAndStartAsZeros) {
  StableMemory memory = create_or_abort(path_, kSmallLayout);
  char* const control = static_cast<char*>(memory.control());
  EXPECT_EQ(static_cast<char*>(memory.log_page()), control + 4096);
  EXPECT_EQ(static_cast<char*>(memory.entries()), control + 2 * 4096);
  EXPECT_EQ(static_cast<char*>(memory.payload()), control + 3 * 4096);
  EXPECT_EQ(std::string(control, 5 * 4096), std::string(5 * 4096, '\0'));
}

TEST_F(StableMemoryTest, PayloadIsMappedTwiceInARow) {
  StableMemory memory = create_or_abort(path_, kSmallLayout);
  char* const payload = static_cast<char*>(memory.payload());
  memcpy(payload + 4090, "over the edge", 14);
  EXPECT_STREQ(payload + 4090, "over the edge");
  EXPECT_EQ(memcmp(payload, "he edge", 8), 0);
}

TEST_F(StableMemoryTest, OnlyItsUserMayUseItWhateverTheUmask) {
  const mode_t before = umask(0);
  create_or_abort(path_, kSmallLayout);
  umask(0777);
  create_or_abort(directory_.file("second"), kSmallLayout);
  umask(before);
  for (const std::string& path : {path_, directory_.file("second")}) {
    struct stat status;
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode, static_cast<mode_t>(S_IFREG | 0600));
  }
}

TEST_F(StableMemoryTest, ItsContentsOutliveTheProcessThatWroteThem) {
  const pid_t child = in_child([this]() -> int {
    StableMemory memory = create_or_abort(path_, kSmallLayout);
    memcpy(memory.control(), "still here", 11);
    raise(SIGKILL);
    return 1;
  });
  ASSERT_EQ(end_of(child), -SIGKILL);
  EXPECT_STREQ(static_cast<char*>(open_or_abort(path_).control()), "still here");
}

TEST_F(StableMemoryTest, TwoMemoriesHaveDifferentSeeds) {
  EXPECT_NE(create_or_abort(path_, kSmallLayout).seed(),
            create_or_abort(directory_.file("second"), kSmallLayout).seed());
}

TEST_F(StableMemoryTest, AMovedMemoryIsUsableAndItsSourceEmpty) {
  StableMemory first = create_or_abort(path_, kSmallLayout);
  void* const control = first.control();
  StableMemory second = std::move(first);
  EXPECT_FALSE(first.valid());
  EXPECT_EQ(second.control(), control);
  StableMemory third;
  third = std::move(second);
  EXPECT_EQ(third.control(), control);
  EXPECT_EQ(third.path(), path_);
  EXPECT_TRUE(third.reserve_log(1, 1));
}

// --- create refuses ---

TEST_F(StableMemoryTest, CreateRefusesANameThatIsTakenAndLeavesItAlone) {
  write_file(path_, "precious");
  EXPECT_THAT(error_of_create(path_), HasSubstr(path_ + ": exists already"));
  EXPECT_EQ(read_file(path_), "precious");
  EXPECT_EQ(symlink("nowhere", directory_.file("link").c_str()), 0);
  EXPECT_THAT(error_of_create(directory_.file("link")), HasSubstr("exists already"));
}

TEST_F(StableMemoryTest, OfManyCreatorsOfOneNameExactlyOneSucceeds) {
  std::atomic<int> created = 0;
  std::vector<std::thread> creators;
  for (int n = 0; n < 8; ++n) {
    creators.emplace_back([&] {
      if (error_of_create(path_) == "created") ++created;
    });
  }
  for (std::thread& creator : creators) creator.join();
  EXPECT_EQ(created, 1);
  EXPECT_EQ(error_of_open(path_), "opened");
}

TEST_F(StableMemoryTest, CreateNamesAMissingDirectory) {
  const std::string path = directory_.file("missing/memory");
  EXPECT_EQ(error_of_create(path), path + ": cannot make a file in " + directory_.file("missing") +
                                       ": No such file or directory");
}

TEST_F(StableMemoryTest, CreateRefusesLayoutsThatCannotBe) {
  const Layout bad[] = {{100, 64, 4096},      {4096, 63, 4096},
                        {4096, 0, 4096},      {4096, 32, 4096},
                        {4096, 65, 4096},     {4096, 64, 0},
                        {4096, 64, 2048},     {4096, 64, 12288},
                        {uint64_t{1} << 40, 64, 4096}, {4096, uint64_t{1} << 60, 4096},
                        {4096, 64, uint64_t{1} << 63}, {~uint64_t{4095}, 64, 4096}};
  for (const Layout& layout : bad) {
    EXPECT_THAT(error_of_create(path_, layout), HasSubstr(path_ + ": the "));
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(StableMemoryTest, AFailedCreateLeavesNothingBehind) {
  write_file(path_, "taken");
  error_of_create(path_);
  const pid_t child = in_child([this] {
    const rlimit limit = {4096, 4096};  // of a file's size: ftruncate fails
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    const std::string error = error_of_create(directory_.file("second"));
    return error.find("cannot make a file of") == std::string::npos ? 1 : 0;
  });
  EXPECT_EQ(end_of(child), 0);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    EXPECT_EQ(entry.path(), path_);
    ++files;
  }
  EXPECT_EQ(files, 1);
}

// --- open refuses ---

TEST_F(StableMemoryTest, OpenNamesAMissingFile) {
  EXPECT_EQ(error_of_open(path_), path_ + ": cannot open: No such file or directory");
}

TEST_F(StableMemoryTest, OpenRefusesWhatIsNoFile) {
  EXPECT_THAT(error_of_open(directory_.path()), HasSubstr("cannot open: Is a directory"));
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(error_of_open(path_), HasSubstr("not a regular file"));
  Result<StableMemory> opened = StableMemory::open(path_, kTestControlVersion, true);
  ASSERT_FALSE(opened);  // rather than waiting for a writer
  EXPECT_THAT(opened.error(), HasSubstr("not a regular file"));
}

TEST_F(StableMemoryTest, OpenRefusesAForeignFile) {
  write_file(path_, std::string(100'000, 'x'));
  EXPECT_THAT(error_of_open(path_), HasSubstr(path_ + ": not a stable memory"));
  write_file(path_, "short");
  EXPECT_THAT(error_of_open(path_), HasSubstr("too short to be a stable memory (5 bytes)"));
  write_file(path_, "");
  EXPECT_THAT(error_of_open(path_), HasSubstr("too short"));
}

TEST_F(StableMemoryTest, OpenRefusesEveryTruncationAndALongerFile) {
  const std::string bytes = good_bytes();
  for (size_t size = 0; size < bytes.size(); size += size < 128 ? 1 : 5003) {
    write_file(path_, bytes.substr(0, size));
    EXPECT_THAT(error_of_open(path_), HasSubstr(size < 64 ? "too short" : "truncated")) << size;
  }
  write_file(path_, bytes + '\0');
  EXPECT_THAT(error_of_open(path_), HasSubstr("too long"));
  write_file(path_, bytes);
  EXPECT_EQ(error_of_open(path_), "opened");
}

TEST_F(StableMemoryTest, OpenRefusesEveryFlippedBitOfTheAreasHeader) {
  const std::string bytes = good_bytes();
  for (size_t bit = 0; bit < sizeof(LogAreaHeader) * 8; ++bit) {
    std::string damaged = bytes;
    char& byte = damaged[area_offset() + bit / 8];
    byte = static_cast<char>(byte ^ (1 << bit % 8));
    write_file(path_, damaged);
    const char* expected = bit < 64   ? "damaged: its plain area does not begin as a group's"
                           : bit < 96 ? "a group's memory of format"
                                      : "damaged: its log's header does not match its checksum";
    EXPECT_THAT(error_of_open(path_), HasSubstr(expected)) << bit;
  }
}

TEST_F(StableMemoryTest, OneGoodSuperblockIsEnough) {
  // Goal: whichever bit of one superblock, or all of one, is lost: the memory opens. Both: it says.
  const std::string bytes = good_bytes();
  for (const uint64_t place : {uint64_t{0}, kGroupBankBytes}) {
    for (size_t bit = 0; bit < sizeof(Superblock) * 8; ++bit) {
      std::string damaged = bytes;
      char& byte = damaged[place + bit / 8];
      byte = static_cast<char>(byte ^ (1 << bit % 8));
      write_file(path_, damaged);
      EXPECT_EQ(error_of_open(path_), "opened") << "bit " << bit << " at " << place;
    }
    std::string lost = bytes;
    std::fill_n(lost.begin() + static_cast<long>(place), 4096, '\0');
    write_file(path_, lost);
    EXPECT_EQ(error_of_open(path_), "opened");
  }
  std::string damaged = bytes;
  damaged[20] ^= 1;
  damaged[kGroupBankBytes + 20] ^= 1;
  write_file(path_, damaged);
  EXPECT_THAT(error_of_open(path_), HasSubstr("superblocks are damaged in both banks"));
}

TEST_F(StableMemoryTest, OpenRefusesAMemoryWithoutAGroup) {
  CreateOptions options;
  options.bank_size_bytes = kGroupBankBytes;
  ASSERT_TRUE(create_memory(path_, options));
  EXPECT_EQ(error_of_open(path_), path_ + ": a stable memory, but not a group's: it has no log");
}

TEST_F(StableMemoryTest, AGroupsFileIsAMemoryWhoseObjectsAreChangedInTransactions) {
  // Goal: log and objects live in one file without touching each other.
  StableMemory group = create_or_abort(path_, kSmallLayout);
  StableLog::format(group);
  StableLog log(group);
  LogEntry entry{};
  entry.kind = 1;
  PhysicalMemory memory;
  const Result<Findings> attached = attach(memory, path_);
  ASSERT_TRUE(attached) << attached.error();
  std::unique_ptr<Activation> activation;
  ASSERT_EQ(Activation::make(memory, &activation), Status::kOk);
  uint64_t object = 0;
  for (uint64_t round = 0; round < 64; ++round) {
    entry.number = round;
    ASSERT_EQ(log.append_if_room(entry, 1, 0), round);
    ASSERT_EQ(activation->begin(), Status::kOk);
    ASSERT_EQ(activation->allocate(4000, ObjectKind::kUser, 0, &object), Status::kOk);
    memset(memory.view() + object, 0xee, 4000);
    ASSERT_EQ(activation->commit(), Status::kOk);
  }
  EXPECT_EQ(log.end(), 64u);
  for (uint64_t position = 0; position < 64; ++position) {
    ASSERT_EQ(log.read(position, &entry), StableLog::Read::kEntry);
    EXPECT_EQ(entry.number, position);
  }
}

TEST_F(StableMemoryTest, OpenNeverTrustsAHeadersNumbers) {
  // Goal: no crash and no mapping beyond the file, even if the checksum is right.
  // Method: random and extreme numbers, checksummed; only the true layout may open.
  const std::string bytes = good_bytes();
  write_file(path_, bytes);
  std::mt19937_64 random(test_seed());
  const uint64_t extremes[] = {0, 1, 64, 4095, 4096, uint64_t{1} << 32, uint64_t{1} << 63,
                               UINT64_MAX, ~uint64_t{4095}, bytes.size()};
  const LogAreaHeader truth = header_in(bytes);
  for (int round = 0; round < 3000; ++round) {
    LogAreaHeader header = truth;
    for (uint64_t* number : {&header.control_size_bytes, &header.entry_capacity,
                             &header.payload_size_bytes, &header.area_size_bytes}) {
      if (random() % 2 == 0) *number = extremes[random() % std::size(extremes)];
      else if (random() % 4 == 0) *number = random() >> random() % 64;
    }
    header.checksum = header_checksum(header);
    {
      std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
      file.seekp(static_cast<long>(area_offset()));
      file.write(reinterpret_cast<const char*>(&header), sizeof(header));
    }
    const bool same = memcmp(&header, &truth, sizeof(header)) == 0;
    const std::string error = error_of_open(path_);
    if (same) EXPECT_EQ(error, "opened");
    else EXPECT_NE(error, "opened");
  }
}

TEST_F(StableMemoryTest, OpenRefusesAConsistentHeaderOfALayoutThatCannotBe) {
  const Layout bad[] = {{4096, 64, 12288}, {4096, 192, 4096}, {0x1800, 64, 4096}};
  const std::string bytes = good_bytes();
  for (const Layout& layout : bad) {
    LogAreaHeader header = header_in(bytes);
    header.control_size_bytes = layout.control_size_bytes;
    header.entry_capacity = layout.entry_capacity;
    header.payload_size_bytes = layout.payload_size_bytes;
    header.area_size_bytes = area_size_bytes(layout);
    std::string forged = bytes;
    const uint64_t pages = whole_pages(header.area_size_bytes);
    forged.resize(area_offset() + pages * kPageBytes);
    put_header(forged, header);
    put_plain_pages(forged, static_cast<uint32_t>(pages));
    write_file(path_, forged);
    EXPECT_THAT(error_of_open(path_), HasSubstr("damaged: the "));
  }
}

TEST_F(StableMemoryTest, OpenSurvivesRandomBytesInItsPages) {
  // The log's words and slots full of noise: it opens (its header is sound), and using the log
  // neither crashes nor yields an entry.
  const std::string bytes = good_bytes();
  std::mt19937_64 random(test_seed());
  for (int round = 0; round < 200; ++round) {
    std::string noisy = bytes;
    for (size_t at = area_offset() + 4096; at < noisy.size(); ++at) {
      noisy[at] = static_cast<char>(random());
    }
    write_file(path_, noisy);
    StableMemory memory = open_or_abort(path_);
    StableLog log(memory);
    for (int n = 0; n < 100; ++n) {
      const uint64_t position = n % 2 == 0 ? random() : log.begin() + random() % 64;
      LogEntry entry;
      uint32_t value;
      EXPECT_NE(log.read(position, &entry), StableLog::Read::kEntry);
      EXPECT_FALSE(log.outcome(position, &value));
      log.has_room(random(), random());
    }
  }
}

TEST_F(StableMemoryTest, OpenRefusesAnotherControlVersion) {
  create_or_abort(path_, kSmallLayout);
  EXPECT_EQ(error_of_open(path_, 8),
            path_ + ": its control area has version 7; this version of Auxin uses 8");
}

TEST_F(StableMemoryTest, OpenRefusesAFileThatOthersMayTouch) {
  create_or_abort(path_, kSmallLayout);
  for (const mode_t mode : {0640, 0602, 0601, 0644, 0666}) {
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
    EXPECT_THAT(error_of_open(path_), HasSubstr("so others could use it")) << mode;
  }
  ASSERT_EQ(chmod(path_.c_str(), 0600), 0);
  EXPECT_EQ(error_of_open(path_), "opened");
}

TEST_F(StableMemoryTest, OpenRefusesAnotherUsersFile) {
  std::string theirs = "/etc/hostname";  // root's, for everyone else
  if (geteuid() == 0) {
    create_or_abort(path_, kSmallLayout);
    ASSERT_EQ(chown(path_.c_str(), 12345, 12345), 0);
    theirs = path_;
  }
  Result<StableMemory> opened = StableMemory::open(theirs, kTestControlVersion, true);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error(), HasSubstr("belongs to user "));
}

TEST_F(StableMemoryTest, AReadOnlyMemoryCannotBeWritten) {
  create_or_abort(path_, kSmallLayout);
  Result<StableMemory> opened = StableMemory::open(path_, kTestControlVersion, true);
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_EQ(*static_cast<char*>(opened->control()), 0);
  EXPECT_FALSE(opened->reserve_log(1, 1));
  EXPECT_EQ(end_of(in_child([&] {
              signal(SIGSEGV, SIG_DFL);  // sanitizers have a handler
              *static_cast<volatile char*>(opened->control()) = 1;
              return 0;
            })),
            -SIGSEGV);
}

TEST_F(StableMemoryTest, WhatAPrivateMemoryIsGivenNobodyElseSees) {
  const std::string path = directory_.file("m");
  auto whole = StableMemory::create(path, kSmallLayout, kTestControlVersion);
  ASSERT_TRUE(whole) << whole.error();
  static_cast<char*>(whole->control())[0] = 'a';
  const std::string before = read_file(path);
  chmod(path.c_str(), 0400);  // it needs no more than to read it
  auto own = StableMemory::open_private(path, kTestControlVersion);
  ASSERT_TRUE(own) << own.error();
  EXPECT_EQ(static_cast<char*>(own->control())[0], 'a');
  static_cast<char*>(own->control())[0] = 'b';
  memset(own->payload(), 'c', own->layout().payload_size_bytes);
  EXPECT_EQ(static_cast<char*>(whole->control())[0], 'a');
  EXPECT_EQ(read_file(path), before);
}

TEST_F(StableMemoryTest, ANameThroughASymbolicLinkOpens) {
  create_or_abort(path_, kSmallLayout);
  ASSERT_EQ(symlink(path_.c_str(), directory_.file("link").c_str()), 0);
  EXPECT_EQ(error_of_open(directory_.file("link")), "opened");
}

// --- storage ---

TEST_F(StableMemoryTest, StorageIsTakenAsTheLogGrows) {
  StableMemory memory = create_or_abort(path_, kLargeLayout);
  const uint64_t at_first = stored_bytes(path_);
  EXPECT_GE(at_first, 8192u + 2 * 4096);
  EXPECT_LT(at_first, 2u << 20);
  EXPECT_TRUE(memory.reserve_log(1000, 1'000'000));
  const uint64_t reserved = stored_bytes(path_);
  EXPECT_GE(reserved, at_first + 1'064'000);
  EXPECT_LE(reserved, at_first + (uint64_t{36} << 20));
  EXPECT_TRUE(memory.reserve_log(1000, 1'000'000));
  EXPECT_EQ(stored_bytes(path_), reserved);
  EXPECT_TRUE(memory.reserve_log(0, uint64_t{40} << 20));
  EXPECT_GE(stored_bytes(path_), at_first + (uint64_t{40} << 20));
}

TEST_F(StableMemoryTest, ReservingMoreThanTheRingsReservesTheRings) {
  StableMemory memory = create_or_abort(path_, kSmallLayout);
  EXPECT_TRUE(memory.reserve_log(UINT64_MAX, UINT64_MAX));
  EXPECT_GE(stored_bytes(path_), area_size_bytes(kSmallLayout));
  EXPECT_LE(stored_bytes(path_), std::filesystem::file_size(path_));
}

TEST_F(StableMemoryTest, ReservingKeepsWhatIsThereAndErrno) {
  StableMemory memory = create_or_abort(path_, kLargeLayout);
  memcpy(memory.payload(), "payload", 8);
  errno = 77;
  EXPECT_TRUE(memory.reserve_log(100, 100));
  EXPECT_EQ(errno, 77);
  EXPECT_STREQ(static_cast<char*>(memory.payload()), "payload");
}

TEST_F(StableMemoryTest, AServerThatClosesAllDescriptorsDoesNotMisleadIt) {
  // Every number up to the highest is closed, then taken by another file, as a daemon might.
  const std::string victim = directory_.file("victim");
  const pid_t child = in_child([&] {
    StableMemory memory = create_or_abort(path_, kLargeLayout);
    for (int fd = 3; fd < 1024; ++fd) close(fd);
    const int file = open(victim.c_str(), O_CREAT | O_RDWR, 0600);
    for (int fd = 3; fd < 1024; ++fd) {
      if (fd != file && dup2(file, fd) < 0) break;
    }
    const bool done = memory.reserve_log(1000, 1000);
    { const StableMemory unmapped = std::move(memory); }
    for (int fd = 3; fd < 1024; ++fd) {
      if (fcntl(fd, F_GETFD) < 0) return 2;  // one of the server's was closed
    }
    return done ? 0 : 1;
  });
  EXPECT_EQ(end_of(child), 0);
  EXPECT_EQ(std::filesystem::file_size(victim), 0u);
  EXPECT_GE(stored_bytes(path_), uint64_t{1} << 20);
}

}  // namespace
}  // namespace auxin::stm
