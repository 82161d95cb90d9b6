// SPDX-License-Identifier: Apache-2.0
//
// Goal: by the public header alone, a process's saves come to a receiver in another process, which
// applies them to its own memory and may refuse them; and they come back by a restore.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "auxin/checkpoint.h"
#include "checkpoint/store/tests/store_test_directory.h"

namespace auxin::checkpoint {
namespace {

constexpr uint64_t kTableBytes = 100'000;

std::string bytes_of(const auxin_checkpoint_image* image, uint64_t id) {
  const void* bytes = nullptr;
  uint64_t size_bytes = 0;
  demand(auxin_checkpoint_image_region(image, id, &bytes, &size_bytes));
  return std::string(static_cast<const char*>(bytes), size_bytes);
}

// The sender: a process of its own, which saves `count` times. Returns its exit status.
int save_in_a_child(const std::string& address, int count, bool lz4) {
  const pid_t child = fork();
  if (child == 0) {
    try {
      std::string table(kTableBytes, '.');
      auxin_checkpoint_options options = AUXIN_CHECKPOINT_OPTIONS;
      options.lz4 = lz4 ? 1 : 0;
      State state(options);
      state.add_range(1, table.data(), table.size());
      Store store = Store::at_server(address, "table");
      for (int i = 0; i < count; ++i) {
        table[static_cast<size_t>(i) * 5000] = static_cast<char>('a' + i);
        state.set_user_word(static_cast<uint64_t>(i) + 1);
        state.save(store);
      }
      std::memset(table.data(), 0, table.size());
      state.restore(store);
      _exit(table[0] == 'a' && table[1] == '.' ? 0 : 1);
    } catch (const Failure& why) {
      _exit(100 + why.status());
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Receiver, AppliesWhatAnotherProcessSaves) {
  const test::StoreDirectory directory;
  for (const std::string& address : {"unix:" + directory.path("in"), std::string("tcp:[::1]:0")}) {
    Receiver receiver(address);
    EXPECT_FALSE(receiver.look("table", [](const auxin_checkpoint_image*) {}));
    ASSERT_EQ(save_in_a_child(receiver.address(), 5, address[0] == 't'), 0);
    std::string table;
    uint64_t word = 0;
    ASSERT_TRUE(receiver.look("table", [&](const auxin_checkpoint_image* image) {
      table = bytes_of(image, 1);
      word = auxin_checkpoint_image_user_word(image);
    }));
    EXPECT_EQ(word, 5u);
    ASSERT_EQ(table.size(), kTableBytes);
    for (size_t i = 0; i < kTableBytes; ++i) {
      const char expected = i % 5000 == 0 && i < 25'000 ? static_cast<char>('a' + i / 5000) : '.';
      ASSERT_EQ(table[i], expected) << i;
    }
  }
}

TEST(Receiver, TellsOfEachMessageThatItApplied) {
  const test::StoreDirectory directory;
  std::atomic<uint64_t> applied{0};
  auxin_checkpoint_receiver_options options = AUXIN_CHECKPOINT_RECEIVER_OPTIONS;
  options.context = &applied;
  options.applied = [](void* context, const char* name, const auxin_checkpoint_image* image) {
    if (std::string(name) != "table") return;
    auto* count = static_cast<std::atomic<uint64_t>*>(context);
    if (auxin_checkpoint_image_user_word(image) == *count + 1) ++*count;
  };
  Receiver receiver("unix:" + directory.path("in"), options);
  ASSERT_EQ(save_in_a_child(receiver.address(), 7, false), 0);
  EXPECT_EQ(applied, 7u);
}

TEST(Receiver, WhatTheIntermediaryDoesNotPassIsNotAppliedAndItsSenderIsTold) {
  const test::StoreDirectory directory;
  auxin_checkpoint_receiver_options options = AUXIN_CHECKPOINT_RECEIVER_OPTIONS;
  options.through = [](void*, const char*, const auxin_checkpoint_message* message) {
    auxin_checkpoint_message_info info;
    auxin_checkpoint_message_get_info(message, &info);
    return info.user_word < 3 ? AUXIN_CHECKPOINT_OK : AUXIN_CHECKPOINT_WRONG_CALL;
  };
  Receiver receiver("unix:" + directory.path("in"), options);
  EXPECT_EQ(save_in_a_child(receiver.address(), 2, false), 0);
  EXPECT_EQ(save_in_a_child(receiver.address(), 5, false), 100 + AUXIN_CHECKPOINT_FOREIGN)
      << "the state of another process is under this name";
  Receiver second("unix:" + directory.path("second"), options);
  EXPECT_EQ(save_in_a_child(second.address(), 5, false), 100 + AUXIN_CHECKPOINT_WRONG_CALL);
  uint64_t word = 0;
  ASSERT_TRUE(second.look("table", [&](const auxin_checkpoint_image* image) {
    word = auxin_checkpoint_image_user_word(image);
  }));
  EXPECT_EQ(word, 2u);
}

TEST(Receiver, WrongOptionsAndAddressesAreRefused) {
  const test::StoreDirectory directory;
  auxin_checkpoint_receiver* receiver = nullptr;
  auxin_checkpoint_receiver_options options = AUXIN_CHECKPOINT_RECEIVER_OPTIONS;
  options.size_bytes = 4;
  const std::string in = "unix:" + directory.path("in");
  EXPECT_EQ(auxin_checkpoint_receiver_open(in.c_str(), &options, &receiver),
            AUXIN_CHECKPOINT_WRONG_CALL);
  for (const char* address :
       {"", "unix:", "tcp:", "tcp:127.0.0.1", "tcp:127.0.0.1:x", "tcp:127.0.0.1:70000",
        "tcp:example.org:1", "tcp:::1:1", "/dev/shm/x", "tcp:0.0.0.0:0"}) {
    EXPECT_EQ(auxin_checkpoint_receiver_open(address, nullptr, &receiver),
              AUXIN_CHECKPOINT_WRONG_CALL)
        << address;
  }
  auxin_checkpoint_store* store = nullptr;
  auxin_checkpoint_remote_options remote = AUXIN_CHECKPOINT_REMOTE_OPTIONS;
  remote.piece_bytes = 100;
  EXPECT_EQ(auxin_checkpoint_store_open_remote(in.c_str(), "table", &remote, &store),
            AUXIN_CHECKPOINT_WRONG_CALL);
  remote = AUXIN_CHECKPOINT_REMOTE_OPTIONS;
  remote.give_up_ms = 50;
  EXPECT_EQ(auxin_checkpoint_store_open_remote(in.c_str(), "table", &remote, &store),
            AUXIN_CHECKPOINT_INPUT_OUTPUT);
}

}  // namespace
}  // namespace auxin::checkpoint
