// SPDX-License-Identifier: Apache-2.0
//
// Goal: what is put to a server is kept and read again, by a client that reaches it by either
// transport, across restarts of the server and breaks of the connection; who may not speak is
// refused; a message that may not follow is refused and leaves everything as it was.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "checkpoint/server/service.h"
#include "checkpoint/server/tests/breaking_link.h"
#include "checkpoint/store/image_store.h"
#include "checkpoint/store/tests/store_test_directory.h"
#include "checkpoint/transport/handshake.h"
#include "checkpoint/transport/keyed_digest.h"
#include "checkpoint/transport/remote_store.h"

namespace auxin::checkpoint {
namespace {

using test::message_to;
using test::view;

RemoteOptions short_options() {
  RemoteOptions options;
  options.piece_bytes = 256;
  options.stall_ms = 2000;
  options.give_up_ms = 4000;
  return options;
}

struct Server {
  explicit Server(const std::string& directory, ServiceOptions how = {}) {
    if (how.address.empty()) how.address = "unix:" + directory + "/socket";
    how.stall_ms = 2000;
    auto opened = DirectoryStates::open_at(directory + "/states", false, 1 << 24, 8);
    EXPECT_TRUE(opened) << opened.outcome().sentence;
    states = std::move(*opened);
    auto started = Service::start(how, states.get());
    EXPECT_TRUE(started) << started.outcome().sentence;
    service = std::move(*started);
  }
  std::unique_ptr<DirectoryStates> states;
  std::unique_ptr<Service> service;
};

std::unique_ptr<RemoteStore> open_store(const std::string& address, const std::string& name,
                                        const RemoteOptions& options = short_options()) {
  auto store = RemoteStore::open(address, name, options);
  EXPECT_TRUE(store) << store.outcome().sentence;
  return std::move(*store);
}

class RemoteStoreTest : public ::testing::TestWithParam<const char*> {
 protected:
  ServiceOptions how() const {
    ServiceOptions options;
    if (std::string(GetParam()) == "tcp") options.address = "tcp:127.0.0.1:0";
    if (std::string(GetParam()) == "tcp6") options.address = "tcp:[::1]:0";
    return options;
  }
  test::StoreDirectory directory_;
};
INSTANTIATE_TEST_SUITE_P(Transports, RemoteStoreTest, ::testing::Values("unix", "tcp", "tcp6"),
                         [](const auto& of) { return std::string(of.param); });

TEST_P(RemoteStoreTest, KeepsAndReadsBasesAndIncrements) {
  Server server(directory_.path(""), how());
  auto store = open_store(server.service->address(), "bank");
  Image none;
  EXPECT_EQ(store->read(&none).status, AUXIN_CHECKPOINT_EMPTY);
  ASSERT_TRUE(store->put(view(message_to(1, 0))));
  ASSERT_TRUE(store->put(view(message_to(2, 1))));
  EXPECT_EQ(store->report().sequence, 2u);
  EXPECT_EQ(store->report().base_sequence, 1u);
  Image image;
  ASSERT_TRUE(open_store(server.service->address(), "bank")->read(&image));
  EXPECT_EQ(image.position().sequence, 2u);
  EXPECT_TRUE(test::is_consistent(image));
  ASSERT_TRUE(store->compact());
  EXPECT_EQ(store->report().messages, 1u);
  ASSERT_TRUE(store->put(view(message_to(3, 2))));
  const auto entries = RemoteStore::list(server.service->address(), short_options());
  ASSERT_TRUE(entries) << entries.outcome().sentence;
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_EQ(entries->front().name, "bank");
  EXPECT_EQ(entries->front().kept.sequence, 3u);
}

TEST_P(RemoteStoreTest, ARestartedServerHasWhatItKeptAndTheClientGoesOn) {
  auto server = std::make_unique<Server>(directory_.path(""), how());
  ServiceOptions again = how();
  again.address = server->service->address();  // the same port
  auto store = open_store(again.address, "bank");
  ASSERT_TRUE(store->put(view(message_to(1, 0))));
  server.reset();
  std::thread later([&] {
    poll(nullptr, 0, 100);
    server = std::make_unique<Server>(directory_.path(""), again);
  });
  const Outcome outcome = store->put(view(message_to(2, 1)));
  later.join();
  ASSERT_TRUE(outcome) << outcome.sentence;
  Image image;
  ASSERT_TRUE(store->read(&image));
  EXPECT_EQ(image.position().sequence, 2u);
}

TEST(RemoteStore, NamesAreKeptApart) {
  test::StoreDirectory directory;
  Server server(directory.path(""));
  auto one = open_store(server.service->address(), "one");
  auto two = open_store(server.service->address(), "two");
  ASSERT_TRUE(one->put(view(message_to(1, 0))));
  ASSERT_TRUE(two->put(view(message_to(7, 0))));
  Image image;
  ASSERT_TRUE(one->read(&image));
  EXPECT_EQ(image.position().sequence, 1u);
  for (const char* name : {"", ".", "..", ".hidden", "a/b", "a b", "\xc3\xa4"}) {
    EXPECT_FALSE(is_state_name(name)) << name;
    EXPECT_EQ(RemoteStore::open(server.service->address(), name, short_options()).status(),
              AUXIN_CHECKPOINT_WRONG_CALL);
  }
  EXPECT_FALSE(is_state_name(std::string(48, 'a')));
}

TEST(RemoteStore, WhatMayNotFollowIsRefusedWithoutATransfer) {
  test::StoreDirectory directory;
  Server server(directory.path(""));
  auto store = open_store(server.service->address(), "bank");
  ASSERT_TRUE(store->put(view(message_to(5, 0))));
  EXPECT_EQ(store->put(view(message_to(7, 6))).status, AUXIN_CHECKPOINT_GAP);
  EXPECT_EQ(store->put(view(message_to(4, 0))).status, AUXIN_CHECKPOINT_STALE);
  EXPECT_TRUE(store->put(view(message_to(5, 0)))) << "the same again: its result may be lost";
  EXPECT_EQ(store->put(view(message_to(5, 4))).status, AUXIN_CHECKPOINT_DUPLICATE);
  MessageWriter other({99, 0, 6, 0, 0}, MessageOptions{});
  other.begin_region(1, 4, 0, kWhole);
  other.add_contents(0, "abcd", 4);
  const ByteBuffer foreign = std::move(*other.finish());
  EXPECT_EQ(store->put(view(foreign)).status, AUXIN_CHECKPOINT_FOREIGN);
  EXPECT_EQ(store->breaks(), 0u);
  Image image;
  ASSERT_TRUE(store->read(&image));
  EXPECT_EQ(image.position().sequence, 5u);
}

TEST(RemoteStore, ASecondSenderIsRefusedAndTheFirstGoesOn) {
  test::StoreDirectory directory;
  Server server(directory.path(""));
  auto one = open_store(server.service->address(), "bank");
  auto two = open_store(server.service->address(), "bank");
  int kept = 0;
  std::thread other([&] {
    for (uint64_t i = 1; i <= 40; ++i) kept += two->put(view(message_to(i, i - 1))) ? 1 : 0;
  });
  for (uint64_t i = 1; i <= 40; ++i) {
    const Outcome outcome = one->put(view(message_to(i, i - 1)));
    EXPECT_TRUE(outcome || outcome.status == AUXIN_CHECKPOINT_DUPLICATE ||
                outcome.status == AUXIN_CHECKPOINT_STALE)
        << outcome.sentence;
  }
  other.join();
  Image image;
  ASSERT_TRUE(one->read(&image));
  EXPECT_EQ(image.position().sequence, 40u);
  EXPECT_TRUE(test::is_consistent(image));
}

TEST(RemoteStore, LargerMessagesThanTheServerTakesAreRefused) {
  test::StoreDirectory directory;
  ServiceOptions how;
  how.max_message_bytes = 2000;
  Server server(directory.path(""), how);
  auto store = open_store(server.service->address(), "bank");
  EXPECT_EQ(store->put(view(message_to(1, 0))).status, AUXIN_CHECKPOINT_TOO_LARGE);
  RemoteOptions small = short_options();
  small.max_image_bytes = 1000;
  const test::StoreDirectory other;
  Server large(other.path(""));
  auto wide = open_store(large.service->address(), "bank");
  ASSERT_TRUE(wide->put(view(message_to(1, 0))));
  Image image;
  EXPECT_EQ(open_store(large.service->address(), "bank", small)->read(&image).status,
            AUXIN_CHECKPOINT_TOO_LARGE);
  EXPECT_EQ(image.position().sequence, 0u);
}

TEST(RemoteStore, ADamagedMessageIsRefusedEvenIfItTravelledWell) {
  test::StoreDirectory directory;
  Server server(directory.path(""));
  auto store = open_store(server.service->address(), "bank");
  ByteBuffer bytes = message_to(1, 0);
  bytes.data()[sizeof(MessageHeader) + 10] ^= 1;  // contents: no structure says so
  EXPECT_EQ(store->put(view(bytes)).status, AUXIN_CHECKPOINT_DAMAGED);
  EXPECT_TRUE(store->put(view(message_to(1, 0))));
}

TEST(RemoteStore, AFullDiskAtTheServerIsToldAndTheImageStays) {
  test::StoreDirectory directory;
  Server server(directory.path(""));
  auto store = open_store(server.service->address(), "bank");
  ASSERT_TRUE(store->put(view(message_to(1, 0))));
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit little{1000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &little), 0);
  const Outcome full = store->put(view(message_to(2, 1)));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(full.status, AUXIN_CHECKPOINT_NO_SPACE) << full.sentence;
  Image image;
  ASSERT_TRUE(store->read(&image));
  EXPECT_EQ(image.position().sequence, 1u);
  EXPECT_TRUE(store->put(view(message_to(2, 1))));
}

TEST(RemoteStore, EachNameCosts) {
  test::StoreDirectory directory;
  Server server(directory.path(""));
  for (int i = 0; i < 8; ++i) {
    auto store = open_store(server.service->address(), "name" + std::to_string(i));
    ASSERT_TRUE(store->put(view(message_to(1, 0))));
  }
  auto store = open_store(server.service->address(), "one-more");
  EXPECT_EQ(store->put(view(message_to(1, 0))).status, AUXIN_CHECKPOINT_NO_SPACE);
}

class Breaks : public ::testing::TestWithParam<int> {};

// The link is cut after each so many bytes: every message arrives all the same, and what had come
// does not travel again.
TEST_P(Breaks, TransfersGoOnFromWhatIsThere) {
  test::StoreDirectory directory;
  Server server(directory.path(""));
  test::BreakingLink link(directory.path(""), server.service->address());
  RemoteOptions options = short_options();
  auto store = open_store(link.address(), "bank", options);
  link.cut_after(static_cast<uint64_t>(GetParam()));
  for (uint64_t i = 1; i <= 5; ++i) {
    const Outcome outcome = store->put(view(message_to(i, i - 1)));
    ASSERT_TRUE(outcome) << outcome.sentence;
  }
  EXPECT_GT(store->breaks(), 3u);
  EXPECT_GT(store->resumed(), 3u);
  Image image;
  ASSERT_TRUE(store->read(&image)) << "the answer is cut too";
  EXPECT_EQ(image.position().sequence, 5u);
  EXPECT_TRUE(test::is_consistent(image));
}
INSTANTIATE_TEST_SUITE_P(EachSoManyBytes, Breaks, ::testing::Values(1300, 1701, 2100, 4001));

// Of all that travels, now this bit is turned, now that one: no message is kept that is another.
TEST(RemoteStore, BitsThatAreTurnedOnTheWayDoNoHarm) {
  test::StoreDirectory directory;
  Server server(directory.path(""));
  test::BreakingLink link(directory.path(""), server.service->address());
  auto store = open_store(link.address(), "bank");
  link.turn_a_bit_each(5003);
  for (uint64_t i = 1; i <= 40; ++i) {
    const Outcome outcome = store->put(view(message_to(i, i - 1)));
    ASSERT_TRUE(outcome) << outcome.sentence;
  }
  EXPECT_GT(store->breaks(), 10u);
  link.turn_a_bit_each(0);
  Image image;
  ASSERT_TRUE(store->read(&image));
  EXPECT_EQ(image.position().sequence, 40u);
  EXPECT_TRUE(test::is_consistent(image));
}

TEST(RemoteStore, NobodyThereIsAnErrorWithinTheTimeLimit) {
  test::StoreDirectory directory;
  RemoteOptions options = short_options();
  options.give_up_ms = 100;
  const auto store =
      RemoteStore::open("unix:" + directory.path("nobody"), "bank", options);
  EXPECT_EQ(store.status(), AUXIN_CHECKPOINT_INPUT_OUTPUT);
}

TEST(RemoteStore, AServerThatSaysNothingIsAnErrorWithinTheTimeLimit) {
  test::StoreDirectory directory;
  const std::string address = "unix:" + directory.path("silent");
  const Expected<int> listener = listen_at(*Address::parse(address));
  ASSERT_TRUE(listener);
  RemoteOptions options = short_options();
  options.stall_ms = 50;
  options.give_up_ms = 200;
  EXPECT_EQ(RemoteStore::open(address, "bank", options).status(), AUXIN_CHECKPOINT_INPUT_OUTPUT);
  close(*listener);
}

TEST(RemoteStore, ClientsThatSayNothingDoNotKeepOthersOut) {
  test::StoreDirectory directory;
  Server server(directory.path(""));
  std::vector<std::unique_ptr<Connection>> silent;
  const Address address = *Address::parse(server.service->address());
  for (int i = 0; i < 20; ++i) {
    silent.push_back(std::make_unique<Connection>(*Connection::connect(address, 100), 100));
  }
  auto store = open_store(server.service->address(), "bank");
  EXPECT_TRUE(store->put(view(message_to(1, 0))));
}

class Secrets : public ::testing::Test {
 protected:
  std::string file(const std::string& secret, mode_t mode = 0600) {
    const std::string path = directory_.path("secret" + std::to_string(count_++));
    std::ofstream(path) << secret << "\n";
    chmod(path.c_str(), mode);
    return path;
  }
  test::StoreDirectory directory_;
  int count_ = 0;
};

TEST_F(Secrets, WhoDoesNotKnowTheSecretIsRefused) {
  ServiceOptions how;
  how.address = "tcp:127.0.0.1:0";
  how.secret = *read_secret(file("a secret of some length"));
  Server server(directory_.path(""), how);
  RemoteOptions options = short_options();
  EXPECT_EQ(RemoteStore::open(server.service->address(), "bank", options).status(),
            AUXIN_CHECKPOINT_WRONG_CALL);
  options.secret = "another secret of some length";
  EXPECT_EQ(RemoteStore::open(server.service->address(), "bank", options).status(),
            AUXIN_CHECKPOINT_WRONG_CALL);
  options.secret = how.secret;
  auto store = open_store(server.service->address(), "bank", options);
  EXPECT_TRUE(store->put(view(message_to(1, 0))));
}

TEST_F(Secrets, AServerThatDoesNotKnowItIsRefused) {
  Server server(directory_.path(""));
  RemoteOptions options = short_options();
  options.secret = "a secret of some length";
  const auto store = RemoteStore::open(server.service->address(), "bank", options);
  EXPECT_EQ(store.status(), AUXIN_CHECKPOINT_WRONG_CALL);
}

TEST_F(Secrets, AFileThatOthersMayReadOrThatIsShortIsRefused) {
  EXPECT_EQ(read_secret(file("a secret of some length", 0640)).status(),
            AUXIN_CHECKPOINT_WRONG_CALL);
  EXPECT_EQ(read_secret(file("short")).status(), AUXIN_CHECKPOINT_WRONG_CALL);
  EXPECT_EQ(read_secret(directory_.path("none")).status(), AUXIN_CHECKPOINT_INPUT_OUTPUT);
}

TEST_F(Secrets, WithoutOneNoOtherHostIsServed) {
  auto states = DirectoryStates::open_at(directory_.path("states"), false, 1 << 20, 8);
  ASSERT_TRUE(states);
  ServiceOptions how;
  how.address = "tcp:0.0.0.0:0";
  EXPECT_EQ(Service::start(how, states->get()).status(), AUXIN_CHECKPOINT_WRONG_CALL);
  how.secret = "a secret of some length";
  EXPECT_TRUE(Service::start(how, states->get()));
}

TEST_F(Secrets, SocketsAndStatesStandWhereNobodyElseMayGo) {
  Server server(directory_.path(""));
  struct stat status;
  ASSERT_EQ(stat(directory_.path("socket").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  ASSERT_EQ(stat(directory_.path("states").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  const std::string open_to_all = directory_.path("open");
  mkdir(open_to_all.c_str(), 0755);
  ServiceOptions how;
  how.address = "unix:" + open_to_all + "/socket";
  EXPECT_EQ(Service::start(how, server.states.get()).status(), AUXIN_CHECKPOINT_WRONG_CALL);
  how.address = server.service->address();
  EXPECT_EQ(Service::start(how, server.states.get()).status(), AUXIN_CHECKPOINT_BUSY);
  EXPECT_EQ(DirectoryStates::open_at(directory_.path("states"), false, 1 << 20, 8).status(),
            AUXIN_CHECKPOINT_BUSY);
}

TEST(KeyedDigest, IsTheStandardsOwn) {
  const auto text = [](const Digest& digest) {
    std::string hex;
    for (const uint8_t byte : digest) {
      hex += "0123456789abcdef"[byte >> 4];
      hex += "0123456789abcdef"[byte & 15];
    }
    return hex;
  };
  const auto bytes = [](const std::string& of) {
    return std::span<const uint8_t>(reinterpret_cast<const uint8_t*>(of.data()), of.size());
  };
  const std::string abc = "abc", million(1'000'000, 'a');
  EXPECT_EQ(text(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(text(sha256(bytes(abc))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(text(sha256(bytes(million))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  const std::string what = "what do ya want for nothing?";  // RFC 4231, case 2
  EXPECT_EQ(text(keyed_digest("Jefe", bytes(what))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

}  // namespace
}  // namespace auxin::checkpoint
