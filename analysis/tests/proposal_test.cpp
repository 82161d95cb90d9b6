// SPDX-License-Identifier: Apache-2.0
//
// Goal: what a proposal is made of says what it should on inputs whose answer is known, and files
// that are damaged do no harm. Method: words, texts and snapshot files made by hand; each file is
// cut at every length and every byte of it is changed once.
#include <gtest/gtest.h>
#include <string.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "analysis/proposal/corba_vocabulary.h"
#include "analysis/proposal/proposal.h"
#include "analysis/proposal/short_patterns.h"
#include "analysis/proposal/snapshot_file.h"
#include "metamarkers/map_file.h"
#include "recording/snapshots.h"

namespace auxin::analysis {
namespace {

TEST(CorbaVocabulary, KnowsOperationsByTheirOwnNameWhateverTheClass) {
  EXPECT_EQ(operation_of("omni::omniOrbPOA::activate_object(PortableServer::ServantBase*)"),
            "activate_object");
  EXPECT_EQ(class_of_operation("a::B<c::D, e::F>::g(h::I)"), "a::B<c::D, e::F>");
  EXPECT_EQ(operation_of("main"), "main");
  EXPECT_EQ(class_of_operation("main"), "");
  EXPECT_EQ(meaning_of("activate_object"), Meaning::kObjectTable);
  EXPECT_EQ(meaning_of("create_POA"), Meaning::kAdapterTree);
  EXPECT_EQ(meaning_of("reference_to_id"), Meaning::kNoOrder);
  EXPECT_EQ(meaning_of("activate"), Meaning::kNone);
}

TEST(Layers, LibrariesAreNamedWithoutTheirVersion) {
  EXPECT_EQ(library_pattern("libtoy.so.1.2"), "libtoy.so*");
  EXPECT_EQ(library_pattern("toy_server"), "toy_server");
}

TEST(MapText, IsAMapWhateverTheNames) {
  Proposal proposal;
  proposal.name = "toy \"1\" \\ \n\x01";
  proposal.soname = "libtoy.so.1";
  proposal.command = "server --option \"x\"\n[match]";
  proposal.layers.infrastructure = {{"libtoy.so*", "because"}};
  ProposedJoinPoint point;
  point.name = "upcall";
  point.role = "upcall";
  point.function = "toy::\"f\"()";
  point.library = "libtoy.so*";
  point.evidence = {"a line\nwith = another", std::string(300, 'x')};
  proposal.join_points = {point};
  point.name = "idle";
  point.role = "suppressed";
  point.follower_skips = true;
  point.skip_result = 1;
  proposal.join_points.push_back(point);
  proposal.offsets = {{"a.b", -8, "seen"}};
  proposal.rejected = {{"f()", "lib", "no reason"}};
  proposal.missing = {"nearly everything"};
  const markers::LoadedMap loaded = markers::parse_map(to_map_text(proposal), "found.toml");
  EXPECT_EQ(loaded.error, "");
  EXPECT_EQ(loaded.map.name, proposal.name);
  ASSERT_EQ(loaded.map.join_points.size(), 2u);
  EXPECT_EQ(loaded.map.join_points[0].function, point.function);
  EXPECT_TRUE(loaded.map.join_points[1].follower_skips);
  ASSERT_NE(loaded.map.offset("a.b"), nullptr);
  EXPECT_EQ(*loaded.map.offset("a.b"), -8);
}

TEST(ShortPattern, LeavesArgumentsOpenAsLongAsTheSameFunctionsAreMeant) {
  const std::vector<std::string> symbols = {
      "_ZN3omn3Poa8activateEPKcil",   // omn::Poa::activate(char const*, int, long)
      "_ZN3omn3Poa8activateEPKcPFivE",  // omn::Poa::activate(char const*, int (*)())
      "_ZN3omn3Poa6createEPKcil",
      "_ZNK3omn3Poa4findESt4pairIiiE",  // omn::Poa::find(std::pair<int, int>) const
  };
  const std::string activate = "omn::Poa::activate(char const*, int, long)";
  EXPECT_EQ(short_pattern(activate, symbols, 100), activate);
  EXPECT_EQ(short_pattern(activate, symbols, 41), "omn::Poa::activate(char const*, int, *)");
  EXPECT_EQ(short_pattern(activate, symbols, 30), activate) << "(*) would mean the other as well";
  EXPECT_EQ(short_pattern("omn::Poa::create(char const*, int, long)", symbols, 20),
            "omn::Poa::create(*)");
  EXPECT_EQ(short_pattern("omn::Poa::find(std::pair<int, int>) const", symbols, 25),
            "omn::Poa::find(*) const");
  EXPECT_EQ(short_pattern("omn::Poa::activate(char const*, int (*)())", symbols, 40),
            "omn::Poa::activate(char const*, int (*)())") << "the other matches what is shorter";
  EXPECT_EQ(short_pattern("omn::nowhere(int, int, int)", symbols, 10),
            "omn::nowhere(int, int, int)");
  EXPECT_EQ(short_pattern("_ZN3omn3Poa8activateEPKcil", symbols, 10),
            "_ZN3omn3Poa8activateEPKcil");
}

class SnapshotFile : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() /
            ("snapshots-" + std::to_string(getpid()));
  }
  void TearDown() override { std::filesystem::remove(path_); }

  template <typename T>
  void add(const T& value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  // One object of two words at 0x1000, the second of which points to a text at 0x2000.
  void add_snapshot(uint32_t text_bytes = 5) {
    recording::SnapshotHeader header{};
    header.size_bytes = sizeof header + 2 * sizeof(recording::SnapshotBlock) + 16 + 8;
    header.tid = 7;
    header.clock = 11;
    header.object = 0x1000;
    header.block_count = 2;
    strcpy(header.join_point, "upcall");
    add(header);
    add(recording::SnapshotBlock{0x1000, 16, 0});
    add(uint64_t{42});
    add(uint64_t{0x2000});
    add(recording::SnapshotBlock{0x2000, text_bytes, 1});
    bytes_.append("ping\0\0\0\0", 8);
  }
  void begin_file() {
    add(recording::SnapshotFileHeader{recording::kSnapshotMagic, recording::kSnapshotVersion, 1});
  }
  Result<std::vector<Snapshot>> read(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
    return read_snapshots(path_);
  }

  std::filesystem::path path_;
  std::string bytes_;
};

TEST_F(SnapshotFile, ValuesAndTextsAreFoundByTheirAddresses) {
  begin_file();
  add_snapshot();
  add_snapshot();
  auto snapshots = read(bytes_);
  ASSERT_TRUE(snapshots) << snapshots.error();
  ASSERT_EQ(snapshots->size(), 2u);
  const Snapshot& snapshot = snapshots->front();
  EXPECT_EQ(snapshot.join_point, "upcall");
  EXPECT_EQ(snapshot.tid, 7u);
  EXPECT_EQ(snapshot.number_at(0x1000), 42u);
  EXPECT_EQ(snapshot.word_at(0x1008), 0x2000u);
  EXPECT_EQ(snapshot.text_at(0x2000), "ping");
  EXPECT_EQ(snapshot.word_at(0x1009), std::nullopt) << "it ends before";
  EXPECT_EQ(snapshot.word_at(0x0fff), std::nullopt);
  EXPECT_EQ(snapshot.text_at(0x2004), "");
  EXPECT_EQ(snapshot.text_at(0x2005), std::nullopt);
  EXPECT_EQ(snapshot.object_bytes(), 16u);
}

TEST_F(SnapshotFile, ATextWhoseEndIsNotThereIsNone) {
  begin_file();
  add_snapshot(4);
  auto snapshots = read(bytes_);
  ASSERT_TRUE(snapshots) << snapshots.error();
  ASSERT_EQ(snapshots->size(), 1u);
  EXPECT_EQ(snapshots->front().text_at(0x2000), std::nullopt);
}

TEST_F(SnapshotFile, GivesItsWholeRecordsWhereItIsCut) {
  begin_file();
  add_snapshot();
  const size_t one = bytes_.size();
  add_snapshot();
  for (size_t length = 0; length <= bytes_.size(); ++length) {
    auto snapshots = read(bytes_.substr(0, length));
    if (length < sizeof(recording::SnapshotFileHeader)) {
      EXPECT_FALSE(snapshots);
      continue;
    }
    ASSERT_TRUE(snapshots) << snapshots.error();
    EXPECT_EQ(snapshots->size(), length == bytes_.size() ? 2u : length >= one ? 1u : 0u);
  }
}

TEST_F(SnapshotFile, NoByteOfItIsBelieved) {
  begin_file();
  add_snapshot();
  add_snapshot();
  for (size_t at = 0; at < bytes_.size(); ++at) {
    for (const int value : {0x00, 0x7f, 0xff}) {
      std::string changed = bytes_;
      changed[at] = static_cast<char>(value);
      auto snapshots = read(changed);
      if (snapshots) {
        EXPECT_LE(snapshots->size(), 2u);
      }
    }
  }
}

TEST_F(SnapshotFile, AForeignFileIsRefused) {
  EXPECT_FALSE(read("hello, this is no file of snapshots at all"));
  EXPECT_FALSE(read_snapshots("/no/such/file"));
}

}  // namespace
}  // namespace auxin::analysis
