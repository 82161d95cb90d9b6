// SPDX-License-Identifier: Apache-2.0
//
// Goal: damage to one bank is always found, named and mended from the other, by recovery as by the
// mere opening of an object; damage to both is never silent.
// Method: a memory at rest with objects of many sizes, free slots, descriptors and a long list of
// intents. Every bit of every record that means something is flipped, one at a time, in bank A and
// in bank B; whole banks are overwritten; files are cut off. What recovery or open() make of it is
// compared with the bytes from before.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "stmemu/memory/page_table.h"
#include "stmemu/test_memory.h"
#include "stmemu/transaction/activation.h"
#include "stmemu/transaction/crash_explorer.h"
#include "stmemu/transaction/descriptor.h"

namespace auxin::stm {
namespace {

constexpr uint64_t kBankBytes = 200 * kPageBytes;
constexpr uint64_t kSizes[] = {1, 8, 15, 40, 64, 200, 240, 241, 700, 1024, 1500, 9000, 14000};

std::string contents_of(uint64_t address, uint64_t size_bytes) {
  std::string bytes(size_bytes, '\0');
  for (uint64_t at = 0; at < size_bytes; ++at) {
    bytes[at] = static_cast<char>(fold(address ^ kMix[1], at / 8 ^ kMix[2]) >> at % 8 * 8);
  }
  return bytes;
}

class StmDamageTest : public testing::Test {
 protected:
  StmDamageTest() : random_(test_seed()), world_(kBankBytes, random_()) {
    std::unique_ptr<Activation> activation = activate();
    // Two of each size, and a third that is freed again.
    std::vector<uint64_t> freed;
    EXPECT_EQ(activation->begin(), Status::kOk);
    for (const uint64_t size_bytes : kSizes) {
      for (int copy = 0; copy < 3; ++copy) {
        if (size_bytes > 9000 && copy > 0) continue;
        uint64_t address = 0;
        EXPECT_EQ(activation->allocate(size_bytes, ObjectKind::kUser, 5, &address), Status::kOk)
            << size_bytes;
        const std::string bytes = contents_of(address, size_bytes);
        EXPECT_EQ(activation->write(address, 0, bytes.data(), bytes.size()), Status::kOk);
        if (copy < 2) {
          objects_.emplace_back(address, size_bytes);
        } else {
          freed.push_back(address);
        }
      }
    }
    EXPECT_EQ(activation->allocate(kDescriptorBytes, ObjectKind::kDescriptor, 0, &program_),
              Status::kOk);
    EXPECT_EQ(activation->commit(), Status::kOk);
    // A list of intents that goes on in a block, left from a transaction on the program's own.
    EXPECT_EQ(activation->use_descriptor(program_), Status::kOk);
    EXPECT_EQ(activation->begin(), Status::kOk);
    for (uint64_t count = 0; count < kDescriptorIntents + 4; ++count) {
      uint64_t address = 0;
      EXPECT_EQ(activation->allocate(8, ObjectKind::kUser, 5, &address), Status::kOk);
      freed.push_back(address);
    }
    EXPECT_EQ(activation->commit(), Status::kOk);
    EXPECT_EQ(read_blocks(world_.memory(), program_).size(), 1u);
    EXPECT_EQ(activation->use_descriptor(0), Status::kOk);
    EXPECT_EQ(activation->begin(), Status::kOk);
    for (const uint64_t address : freed) {
      EXPECT_EQ(activation->open(address, OpenFor::kChanging, Wait::none()), Status::kOk);
      EXPECT_EQ(activation->free(address), Status::kOk);
    }
    EXPECT_EQ(activation->commit(), Status::kOk);
    own_ = activation->descriptor();
    activation.reset();
    world_.start_recording();
    EXPECT_EQ(recovered(), "");
  }
  ~StmDamageTest() override {
    world_.stop_recording();
    if (flips_ > 0) printf("%llu flips\n", static_cast<unsigned long long>(flips_));
  }

  std::unique_ptr<Activation> activate() {
    std::unique_ptr<Activation> activation;
    EXPECT_EQ(Activation::make(world_.memory(), &activation), Status::kOk);
    return activation;
  }

  // Recovers as a lone attacher would; all that was found, in words.
  std::string recovered() {
    world_.renew_board();
    findings_ = recover(world_.memory(), true);
    std::string said;
    for (const std::string& detail : findings_.details) said += detail + "; ";
    return said;
  }

  void flip(int bank, uint64_t offset, int bit) {
    const Bank& of = bank == 0 ? world_.memory().banks().a : world_.memory().banks().b;
    world_.apply({bank, offset, of.word(offset) ^ uint64_t{1} << bit});
  }

  // Whether all words that were stored to hold what they held at first.
  bool as_it_was() {
    std::map<std::pair<int, uint64_t>, uint64_t> first;
    for (const Step& step : world_.steps()) {
      if (step.bank >= 0) first.emplace(std::pair{step.bank, step.offset}, step.before);
    }
    const Banks& banks = world_.memory().banks();
    return std::all_of(first.begin(), first.end(), [&](const auto& word) {
      const auto& [bank, offset] = word.first;
      return (bank == 0 ? banks.a : banks.b).word(offset) == word.second;
    });
  }

  // Flips each bit of each word in `words`, in each bank: recovery mends it, exactly or (what has
  // no meaning any more) so that both banks are equal.
  void every_flip_is_mended(const std::vector<uint64_t>& words, const std::string& named,
                            bool exactly = true) {
    const Banks& banks = world_.memory().banks();
    for (const uint64_t offset : words) {
      for (int number = 0; number < 128; ++number) {
        flip(number / 64, offset, number % 64);
        const std::string said = recovered();
        const bool mended =
            exactly ? as_it_was() : banks.a.word(offset) == banks.b.word(offset);
        world_.roll_back_to(0);
        ASSERT_GE(findings_.repaired, 1u) << named << " " << offset << " bit " << number;
        ASSERT_EQ(findings_.lost, 0u) << said;
        ASSERT_TRUE(mended) << named << " " << offset << " bit " << number << ": " << said;
        ASSERT_NE(said.find(named), std::string::npos) << said;
        ++flips_;
      }
    }
  }

  static std::vector<uint64_t> words_of(uint64_t offset, uint64_t size_bytes) {
    std::vector<uint64_t> words;
    for (uint64_t at = 0; at < whole_words(size_bytes); at += 8) words.push_back(offset + at);
    return words;
  }
  Place place_of(uint64_t address) {
    Place place{};
    EXPECT_TRUE(locate(world_.memory(), address, &place));
    return place;
  }
  std::string name(uint64_t address) {
    return name_of_object(place_of(address), nullptr).substr(0, 14);
  }

  std::mt19937_64 random_;
  PlainMemory world_;
  std::vector<std::pair<uint64_t, uint64_t>> objects_;
  uint64_t program_ = 0, own_ = 0;
  Findings findings_;
  uint64_t flips_ = 0;
};

TEST_F(StmDamageTest, EveryBitOfASuperblockIsMended) {
  every_flip_is_mended(words_of(0, sizeof(Superblock)), "superblock of bank");
}

TEST_F(StmDamageTest, EveryBitOfAPageHeadIsMended) {
  std::vector<uint64_t> heads;
  PageTable(world_.memory()).walk([&](uint64_t page, const PageHead&) {
    heads.push_back(page);
    return true;
  });
  EXPECT_GT(heads.size(), 8u);
  for (const uint64_t page : heads) {
    every_flip_is_mended(words_of(head_offset(page), sizeof(PageHead)), "page head");
  }
}

TEST_F(StmDamageTest, EveryBitOfAnObjectsHeaderIsMended) {
  for (const auto& [address, size_bytes] : objects_) {
    every_flip_is_mended(words_of(place_of(address).header, sizeof(ObjectHeader)), name(address));
  }
  for (const uint64_t descriptor : {program_, own_, read_blocks(world_.memory(), program_)[0]}) {
    every_flip_is_mended(words_of(place_of(descriptor).header, sizeof(ObjectHeader)),
                         name(descriptor));
  }
}

TEST_F(StmDamageTest, EveryBitOfAFreeHeaderIsMended) {
  PageTable(world_.memory()).walk([&](uint64_t page, const PageHead& head) {
    const PageUse use = static_cast<PageUse>(head.use);
    if (use != PageUse::kObjects && use != PageUse::kDescriptors) return true;
    int looked_at = 0;  // the first two, one between, and the last of each run
    const uint32_t slots = world_.memory().classes().slots(head.size_class);
    for (uint32_t slot = 0; slot < slots && !HasFatalFailure(); ++slot) {
      const Place place = place_in_run(world_.memory(), page, head, slot);
      ObjectHeader header;
      if (!good_copy(world_.memory(), world_.memory().banks().a, place, &header)) {
        ADD_FAILURE() << "a memory at rest";
      }
      if (header.live() || (++looked_at > 2 && slot != slots / 2 && slot + 1 != slots)) continue;
      every_flip_is_mended(words_of(place.header, sizeof(ObjectHeader)), "free");
    }
    return true;
  });
}

TEST_F(StmDamageTest, EveryBitOfAnObjectsContentsIsMended) {
  for (const auto& [address, size_bytes] : objects_) {
    std::vector<uint64_t> words = words_of(address, size_bytes);
    if (words.size() > 40) {  // the ends, and some between
      std::shuffle(words.begin() + 2, words.end() - 2, random_);
      std::rotate(words.begin() + 2, words.end() - 2, words.end());
      words.resize(20);
    }
    every_flip_is_mended(words, name(address));
  }
}

TEST_F(StmDamageTest, EveryBitOfADescriptorIsMended) {
  for (const uint64_t descriptor : {kBootDescriptorOffset, own_, program_}) {
    every_flip_is_mended(words_of(descriptor, kIntentsOffset), "transaction descriptor");
    every_flip_is_mended(words_of(descriptor + kIntentsOffset, 8 * 10), "transaction descriptor",
                         false);
    every_flip_is_mended(words_of(descriptor + kDescriptorBytes - 16, 16),
                         "transaction descriptor", false);
  }
  const uint64_t block = read_blocks(world_.memory(), program_)[0];
  every_flip_is_mended(words_of(block, kIntentsOffset), "transaction descriptor");
  every_flip_is_mended(words_of(block + kIntentsOffset, 8 * 6), "transaction descriptor", false);
}

// --- without recovery: who opens an object finds out ---

TEST_F(StmDamageTest, OpeningAnObjectMendsIt) {
  std::unique_ptr<Activation> activation = activate();
  PhysicalMemory& memory = world_.memory();
  const size_t start = world_.steps().size();
  uint64_t flips = 0;
  for (const auto& [address, size_bytes] : objects_) {
    std::vector<uint64_t> words = words_of(address, std::min<uint64_t>(size_bytes, 256));
    for (const uint64_t word : words_of(place_of(address).header, sizeof(ObjectHeader))) {
      words.push_back(word);
    }
    const std::string expected = contents_of(address, size_bytes);
    for (const uint64_t word : words) {
      for (int number = 0; number < 128; ++number) {
        if (word < address && number % 64 != 0 && random_() % 4 != 0) continue;
        flip(number / 64, word, number % 64);
        ASSERT_EQ(activation->begin(), Status::kOk);
        const uint64_t repairs = memory.board().statistics.repairs.load();
        ASSERT_EQ(activation->open(address, OpenFor::kReading, Wait::none()), Status::kOk)
            << activation->message();
        EXPECT_EQ(memory.board().statistics.repairs.load(), repairs + 1);
        std::string seen(size_bytes, '\0');
        ASSERT_EQ(activation->read(address, 0, seen.data(), size_bytes), Status::kOk);
        EXPECT_EQ(seen, expected);
        ASSERT_EQ(activation->commit(), Status::kOk);
        ASSERT_TRUE(as_it_was());
        world_.roll_back_to(start);
        ++flips;
      }
    }
  }
  printf("%llu flips\n", static_cast<unsigned long long>(flips));
}

TEST_F(StmDamageTest, AnAbortRestoresWhatWasDamagedBeforeItWasOpened) {
  std::unique_ptr<Activation> activation = activate();
  const size_t start = world_.steps().size();
  for (const auto& [address, size_bytes] : objects_) {
    const std::string expected = contents_of(address, size_bytes);
    for (int round = 0; round < 40; ++round) {
      const bool header = random_() % 3 == 0;
      const uint64_t word = header ? place_of(address).header + random_() % 4 * 8
                                   : address + random_() % (whole_words(size_bytes) / 8) * 8;
      flip(round % 2, word, static_cast<int>(random_() % 64));
      ASSERT_EQ(activation->use_descriptor(0), Status::kOk);
      ASSERT_EQ(activation->begin(), Status::kOk);
      ASSERT_EQ(activation->open(address, OpenFor::kChanging, Wait::none()), Status::kOk);
      const std::string changed(size_bytes, 'x');
      ASSERT_EQ(activation->write(address, 0, changed.data(), size_bytes), Status::kOk);
      if (round % 4 < 2) {
        ASSERT_EQ(activation->abort(), Status::kOk);
      } else {
        ASSERT_EQ(activation->commit(), Status::kOk);
      }
      ASSERT_EQ(recovered(), "");
      const Expected after = {ObjectKind::kUser, round % 4 < 2 ? expected : changed};
      EXPECT_TRUE(object_is(world_.memory(), address, &after));
      world_.roll_back_to(start);
      // The board is new: so is who works on it. The old one's lock went with the old board.
      static_cast<void>(activation.release());
      activation = activate();
    }
  }
}

TEST_F(StmDamageTest, ADamagedHeadDoesNotHideALargeObject) {
  std::unique_ptr<Activation> activation = activate();
  const size_t start = world_.steps().size();
  for (const auto& [address, size_bytes] : objects_) {
    const uint64_t head = head_offset(place_of(address).header / kPageBytes);
    for (uint64_t word = head; word < head + sizeof(PageHead); word += 8) {
      for (int number = 0; number < 128; ++number) {
        flip(number / 64, word, number % 64);
        ASSERT_EQ(activation->begin(), Status::kOk);
        EXPECT_EQ(activation->open(address, OpenFor::kReading, Wait::none()), Status::kOk)
            << "word " << (word - head) / 8 << " bit " << number << ": " << activation->message();
        if (activation->active()) {
          ASSERT_EQ(activation->commit(), Status::kOk);
        }
        world_.roll_back_to(start);
      }
    }
  }
}

// --- a whole bank ---

TEST_F(StmDamageTest, AWholeBankIsMadeAgainFromTheOther) {
  PhysicalMemory& memory = world_.memory();
  world_.stop_recording();
  const std::string before[2] = {std::string(memory.banks().a.at(0), kBankBytes),
                                 std::string(memory.banks().b.at(0), kBankBytes)};
  for (int round = 0; round < 8; ++round) {
    const int bank = round % 2;
    char* bytes = memory.view() + static_cast<uint64_t>(bank) * kBankBytes;
    for (uint64_t at = 0; at < kBankBytes; ++at) {
      bytes[at] = static_cast<char>(round < 2 ? 0 : round < 4 ? 0xff : random_());
    }
    const std::string said = recovered();
    EXPECT_EQ(findings_.lost, 0u) << said;
    EXPECT_GT(findings_.repaired, objects_.size());
    for (const auto& [address, size_bytes] : objects_) {
      const Expected expected = {ObjectKind::kUser, contents_of(address, size_bytes)};
      EXPECT_TRUE(object_is(memory, address, &expected)) << address << " bank " << bank;
    }
    EXPECT_EQ(recovered(), "");
    EXPECT_EQ(memcmp(memory.banks().a.at(0), before[0].data(), sizeof(Superblock)), 0);
    EXPECT_EQ(memcmp(memory.banks().b.at(0), before[1].data(), sizeof(Superblock)), 0);
    std::unique_ptr<Activation> activation = activate();
    uint64_t address = 0;
    EXPECT_EQ(activation->begin(), Status::kOk);
    EXPECT_EQ(activation->allocate(100, ObjectKind::kUser, 1, &address), Status::kOk);
    EXPECT_EQ(activation->abort(), Status::kOk);
    activation.reset();
  }
  world_.start_recording();
}

// --- both banks ---

TEST_F(StmDamageTest, DamageToBothBanksIsALossThatNamesTheObject) {
  const size_t start = world_.steps().size();
  for (const auto& [address, size_bytes] : objects_) {
    for (int round = 0; round < 60; ++round) {
      const bool header = round % 3 == 0;
      const uint64_t word = header ? place_of(address).header + random_() % 4 * 8
                                   : address + random_() % (whole_words(size_bytes) / 8) * 8;
      const int bit = static_cast<int>(random_() % 64);
      const uint64_t word_b =
          round % 2 == 0 || header
              ? word
              : address + random_() % (whole_words(size_bytes) / 8) * 8;
      flip(0, word, bit);
      flip(1, word_b, round % 2 == 0 ? bit : static_cast<int>(random_() % 64));
      const size_t damaged = world_.steps().size();
      world_.renew_board();
      recover(world_.memory(), false);  // which looks at no object
      {
        std::unique_ptr<Activation> activation = activate();
        ASSERT_EQ(activation->begin(), Status::kOk);
        EXPECT_EQ(activation->open(address, OpenFor::kChanging, Wait::none()), Status::kDamaged);
        EXPECT_NE(activation->message().find(name(address)), std::string::npos)
            << activation->message();
        // The others can be used.
        const uint64_t other = objects_[address == objects_[0].first].first;
        EXPECT_EQ(activation->open(other, OpenFor::kReading, Wait::none()), Status::kOk);
        EXPECT_EQ(activation->commit(), Status::kOk);
      }
      world_.roll_back_to(damaged);
      const std::string said = recovered();
      EXPECT_EQ(findings_.lost, 1u) << said;
      EXPECT_NE(said.find("lost " + name(address)), std::string::npos) << said;
      world_.roll_back_to(start);
    }
  }
}

TEST_F(StmDamageTest, DamageToBothCopiesOfAHeadOrAStateIsALoss) {
  std::vector<uint64_t> heads;
  PageTable(world_.memory()).walk([&](uint64_t page, const PageHead&) {
    heads.push_back(page);
    return true;
  });
  for (const uint64_t page : heads) {
    for (int round = 0; round < 30; ++round) {
      for (const int bank : {0, 1}) {
        flip(bank, head_offset(page) + random_() % 4 * 8, static_cast<int>(random_() % 64));
      }
      const std::string said = recovered();
      world_.roll_back_to(0);
      EXPECT_GE(findings_.lost, 1u) << said;
      EXPECT_NE(said.find("lost page " + std::to_string(page)), std::string::npos) << said;
    }
  }
  for (const uint64_t descriptor : {kBootDescriptorOffset, own_, program_}) {
    for (int bit = 0; bit < 64; ++bit) {
      flip(0, descriptor, bit);
      flip(1, descriptor, 63 - bit);
      const std::string said = recovered();
      EXPECT_EQ(findings_.lost, 1u) << said;
      EXPECT_EQ(recovered(), "") << "what is lost is said once; then the memory is sound again";
      world_.roll_back_to(0);
    }
  }
}

// --- the file ---

class StmFileDamageTest : public testing::Test {
 protected:
  StmFileDamageTest() {
    CreateOptions options;
    options.bank_size_bytes = kBankBytes;
    const Result<bool> created = create_memory(path_, options);
    EXPECT_TRUE(created) << created.error();
    PhysicalMemory memory;
    const Result<Findings> attached = attach(memory, path_);
    EXPECT_TRUE(attached) << attached.error();
    std::unique_ptr<Activation> activation;
    EXPECT_EQ(Activation::make(memory, &activation), Status::kOk);
    EXPECT_EQ(activation->begin(), Status::kOk);
    for (const uint64_t size_bytes : kSizes) {
      uint64_t address = 0;
      EXPECT_EQ(activation->allocate(size_bytes, ObjectKind::kUser, 5, &address), Status::kOk);
      const std::string bytes = contents_of(address, size_bytes);
      EXPECT_EQ(activation->write(address, 0, bytes.data(), size_bytes), Status::kOk);
      objects_.emplace_back(address, size_bytes);
    }
    EXPECT_EQ(activation->commit(), Status::kOk);
  }

  void expect_all_there(const std::string& what) {
    PhysicalMemory memory;
    const Result<Findings> attached = attach(memory, path_);
    ASSERT_TRUE(attached) << what << ": " << attached.error();
    EXPECT_GE(attached.value().repaired, 1u) << what;
    EXPECT_EQ(attached.value().lost, 0u) << what;
    std::unique_ptr<Activation> activation;
    ASSERT_EQ(Activation::make(memory, &activation), Status::kOk);
    ASSERT_EQ(activation->begin(), Status::kOk);
    for (const auto& [address, size_bytes] : objects_) {
      std::string seen(size_bytes, '\0');
      ASSERT_EQ(activation->open(address, OpenFor::kChanging, Wait::none()), Status::kOk) << what;
      ASSERT_EQ(activation->read(address, 0, seen.data(), size_bytes), Status::kOk);
      EXPECT_EQ(seen, contents_of(address, size_bytes)) << what;
    }
    EXPECT_EQ(activation->commit(), Status::kOk);
  }

  void overwrite(uint64_t offset, const std::string& bytes) {
    const int fd = open(path_.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
    close(fd);
  }

  TestDirectory directory_;
  const std::string path_ = directory_.file("memory");
  std::vector<std::pair<uint64_t, uint64_t>> objects_;
};

TEST_F(StmFileDamageTest, AFileThatIsCutOffIsMendedOrRefusedWithASentence) {
  const uint64_t whole = memory_file_bytes(kBankBytes);
  for (const uint64_t size_bytes :
       {whole - 1, whole - 5000, 2 * kBankBytes + 1, 2 * kBankBytes, 2 * kBankBytes - 1,
        kBankBytes + 6 * kPageBytes + 100, kBankBytes + 64, kBankBytes + 1, kBankBytes,
        kBankBytes - 1, 3 * kPageBytes, kPageBytes, uint64_t{64}, uint64_t{1}, uint64_t{0}}) {
    const std::string what = "cut to " + std::to_string(size_bytes);
    ASSERT_EQ(truncate(path_.c_str(), static_cast<off_t>(size_bytes)), 0);
    if (size_bytes >= kBankBytes) {
      expect_all_there(what);
      continue;
    }
    PhysicalMemory memory;
    const Result<Findings> attached = attach(memory, path_);
    ASSERT_FALSE(attached) << what;
    EXPECT_NE(attached.error().find(path_), std::string::npos) << attached.error();
    EXPECT_EQ(std::filesystem::file_size(path_), size_bytes) << "it is left as it is";
  }
}

TEST_F(StmFileDamageTest, ABankThatIsOverwrittenIsMended) {
  std::mt19937_64 random(test_seed());
  for (int round = 0; round < 6; ++round) {
    std::string bytes(kBankBytes, round < 2 ? '\0' : '\xff');
    if (round >= 4) {
      for (char& byte : bytes) byte = static_cast<char>(random());
    }
    overwrite(static_cast<uint64_t>(round % 2) * kBankBytes, bytes);
    expect_all_there("bank " + std::to_string(round % 2) + " overwritten");
  }
}

TEST_F(StmFileDamageTest, BothSuperblocksGoneIsRefusedWithASentence) {
  overwrite(20, "x");
  overwrite(kBankBytes + 20, "y");
  PhysicalMemory memory;
  const Result<Findings> attached = attach(memory, path_);
  ASSERT_FALSE(attached);
  EXPECT_NE(attached.error().find("damaged in both banks"), std::string::npos)
      << attached.error();
}

}  // namespace
}  // namespace auxin::stm
