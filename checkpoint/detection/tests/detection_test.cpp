// SPDX-License-Identifier: Apache-2.0
//
// Goal: each detection finds what it is for, says so, and finds nothing when it is off or all is
// well.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "auxin/checkpoint.h"
#include "checkpoint/detection/guarded_memory.h"
#include "checkpoint/detection/self_test.h"
#include "checkpoint/tracking/page_run.h"

namespace auxin::checkpoint {
namespace {

class Detection : public testing::Test {
 protected:
  void TearDown() override { demand(auxin_checkpoint_detect(0)); }
  static std::string error() { return auxin_checkpoint_last_error(); }
};

using DetectionDeathTest = Detection;

TEST_F(Detection, IsASumOfWhatThereIs) {
  EXPECT_EQ(auxin_checkpoint_detect(1u << 20), AUXIN_CHECKPOINT_WRONG_CALL);
  EXPECT_EQ(auxin_checkpoint_detection_of_process(), 0u);
  demand(auxin_checkpoint_detect(AUXIN_CHECKPOINT_DETECT_TABLES));
  EXPECT_EQ(auxin_checkpoint_detection_of_process(), AUXIN_CHECKPOINT_DETECT_TABLES);
}

TEST_F(Detection, TheServiceWorks) {
  for (const SelfTestPart& part : self_test()) EXPECT_TRUE(part.good) << part.name << part.sentence;
  EXPECT_EQ(auxin_checkpoint_self_test(nullptr), AUXIN_CHECKPOINT_OK) << error();
  demand(auxin_checkpoint_detect(AUXIN_CHECKPOINT_DETECT_ALL));
  State state;
  EXPECT_EQ(auxin_checkpoint_self_test(state.get()), AUXIN_CHECKPOINT_OK) << error();
}

// Everything is on, and the service does what it does otherwise, by each method.
TEST_F(Detection, WithAllOfItStatesAreSavedAndRestored) {
  demand(auxin_checkpoint_detect(AUXIN_CHECKPOINT_DETECT_ALL));
  for (const auxin_checkpoint_method method :
       {AUXIN_CHECKPOINT_AUTOMATIC, AUXIN_CHECKPOINT_FULL, AUXIN_CHECKPOINT_FORK}) {
    auxin_checkpoint_options options = AUXIN_CHECKPOINT_OPTIONS;
    options.method = method;
    State state(options);
    std::vector<char> table(100'001, 'a');
    uint64_t counter = 5;
    state.add_range(1, table.data() + 3, table.size() - 7);
    auxin_checkpoint_mark mark;
    demand(auxin_checkpoint_add_object(state.get(), 2, &counter, sizeof counter, &mark));
    auxin_checkpoint_arena* arena = nullptr;
    demand(auxin_checkpoint_arena_create(state.get(), 3, 10'000, &arena));
    char* word = static_cast<char*>(auxin_checkpoint_arena_allocate(arena, 100));
    std::strcpy(word, "in the arena");
    auxin_checkpoint_image* image = nullptr;
    demand(auxin_checkpoint_image_create(UINT64_MAX, &image));
    for (int i = 0; i < 3; ++i) {
      table[static_cast<size_t>(i) * 5000 + 10] = 'x';
      ++counter;
      auxin_checkpoint_changed(mark);
      demand(auxin_checkpoint_capture(state.get(), AUXIN_CHECKPOINT_INCREMENT));
      auxin_checkpoint_message* message = nullptr;
      demand(auxin_checkpoint_take_message(state.get(), &message));
      demand(auxin_checkpoint_image_apply(image, message));
      auxin_checkpoint_message_free(message);
    }
    const std::vector<char> saved = table;
    std::fill(table.begin() + 3, table.end() - 4, 'z');
    counter = 0;
    word[0] = '?';
    demand(auxin_checkpoint_restore_image(state.get(), image));
    EXPECT_EQ(table, saved);
    EXPECT_EQ(counter, 8u);
    EXPECT_STREQ(word, "in the arena");
    auxin_checkpoint_image_destroy(image);
  }
}

// A mapping of a file that is cut short: a load would raise SIGBUS.
TEST_F(Detection, MemoryThatCantBeReadIsAStatusAndTheLastMessageStaysValid) {
  for (const auxin_checkpoint_method method :
       {AUXIN_CHECKPOINT_AUTOMATIC, AUXIN_CHECKPOINT_FULL, AUXIN_CHECKPOINT_FORK}) {
    demand(auxin_checkpoint_detect(AUXIN_CHECKPOINT_DETECT_MEMORY));
    const int fd = memfd_create("cut", MFD_CLOEXEC);
    ASSERT_EQ(ftruncate(fd, 4 * kPageBytes), 0);
    char* memory = static_cast<char*>(mmap(nullptr, 4 * kPageBytes, PROT_READ | PROT_WRITE,
                                           MAP_SHARED, fd, 0));
    auxin_checkpoint_options options = AUXIN_CHECKPOINT_OPTIONS;
    options.method = method;
    State state(options);
    std::vector<char> other(3 * kPageBytes, 'o');
    state.add_range(2, other.data(), other.size());
    auxin_checkpoint_image* image = nullptr;
    demand(auxin_checkpoint_image_create(UINT64_MAX, &image));
    const auto apply = [&] {
      auxin_checkpoint_message* message = nullptr;
      auxin_checkpoint_status status =
          auxin_checkpoint_capture(state.get(), AUXIN_CHECKPOINT_INCREMENT);
      if (status == AUXIN_CHECKPOINT_OK) status = auxin_checkpoint_take_message(state.get(),
                                                                               &message);
      if (status != AUXIN_CHECKPOINT_OK) return status;
      status = auxin_checkpoint_image_apply(image, message);
      auxin_checkpoint_message_free(message);
      return status;
    };
    ASSERT_EQ(apply(), AUXIN_CHECKPOINT_OK) << error();
    std::memset(memory, 'm', 4 * kPageBytes);
    other[5] = 'x';
    ASSERT_EQ(ftruncate(fd, kPageBytes), 0);
    state.add_range(1, memory, 4 * kPageBytes);
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(apply(), AUXIN_CHECKPOINT_MEMORY) << auxin_checkpoint_method_name(method);
      EXPECT_NE(error().find("can't be read"), std::string::npos);
      EXPECT_EQ(auxin_checkpoint_image_sequence(image), 1u);
    }
    ASSERT_EQ(ftruncate(fd, 4 * kPageBytes), 0);
    ASSERT_EQ(apply(), AUXIN_CHECKPOINT_OK) << error();
    const void* bytes = nullptr;
    uint64_t size_bytes = 0;
    demand(auxin_checkpoint_image_region(image, 1, &bytes, &size_bytes));
    EXPECT_EQ(std::memcmp(bytes, memory, size_bytes), 0) << auxin_checkpoint_method_name(method);
    demand(auxin_checkpoint_image_region(image, 2, &bytes, &size_bytes));
    EXPECT_EQ(std::memcmp(bytes, other.data(), size_bytes), 0) << "changed before the failure";
    // A restore looks first, and writes nothing by halves.
    other[6] = 'n';
    ASSERT_EQ(ftruncate(fd, kPageBytes), 0);
    EXPECT_EQ(auxin_checkpoint_restore_image(state.get(), image), AUXIN_CHECKPOINT_MEMORY);
    EXPECT_EQ(other[6], 'n');
    auxin_checkpoint_image_destroy(image);
    munmap(memory, 4 * kPageBytes);
    close(fd);
  }
}

TEST_F(Detection, MarkedObjectsThatCantBeReadStayMarked) {
  demand(auxin_checkpoint_detect(AUXIN_CHECKPOINT_DETECT_MEMORY));
  State state;
  void* memory = mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                      0);
  auxin_checkpoint_mark mark;
  demand(auxin_checkpoint_add_object(state.get(), 1, memory, 100, &mark));
  mprotect(memory, kPageBytes, PROT_NONE);
  EXPECT_EQ(auxin_checkpoint_capture(state.get(), AUXIN_CHECKPOINT_BASE), AUXIN_CHECKPOINT_MEMORY);
  mprotect(memory, kPageBytes, PROT_READ | PROT_WRITE);
  demand(auxin_checkpoint_capture(state.get(), AUXIN_CHECKPOINT_INCREMENT));
  auxin_checkpoint_statistics statistics = {};
  statistics.size_bytes = sizeof statistics;
  auxin_checkpoint_get_statistics(state.get(), &statistics);
  EXPECT_EQ(statistics.last_object_bytes, 100u);
  munmap(memory, kPageBytes);
}

TEST_F(DetectionDeathTest, AnOverrunOfAnArenaIsTold) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        signal(SIGSEGV, SIG_DFL);  // a sanitizer has a handler of its own
        demand(auxin_checkpoint_detect(AUXIN_CHECKPOINT_DETECT_OVERRUNS));
        State state;
        auxin_checkpoint_arena* arena = nullptr;
        demand(auxin_checkpoint_arena_create(state.get(), 5, 8192, &arena));
        char* block = static_cast<char*>(auxin_checkpoint_arena_allocate(arena, 2000));
        for (char* at = block;; ++at) *static_cast<volatile char*>(at) = 1;
      },
      testing::KilledBySignal(SIGSEGV), "overrun: byte 1 behind an arena \\(8192 bytes");
}

TEST_F(DetectionDeathTest, AnOverrunOfAnImageIsToldToTheHandlerOfTheProcessToo) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        struct sigaction own = {};
        own.sa_handler = [](int) { _exit(77); };
        sigaction(SIGSEGV, &own, nullptr);
        demand(auxin_checkpoint_detect(AUXIN_CHECKPOINT_DETECT_OVERRUNS));
        State state;
        std::vector<char> table(4096, 'a');
        state.add_range(1, table.data(), table.size());
        demand(auxin_checkpoint_capture(state.get(), AUXIN_CHECKPOINT_BASE));
        auxin_checkpoint_message* message = nullptr;
        demand(auxin_checkpoint_take_message(state.get(), &message));
        auxin_checkpoint_image* image = nullptr;
        demand(auxin_checkpoint_image_create(UINT64_MAX, &image));
        demand(auxin_checkpoint_image_apply(image, message));
        const void* bytes = nullptr;
        uint64_t size_bytes = 0;
        demand(auxin_checkpoint_image_region(image, 1, &bytes, &size_bytes));
        static_cast<void>(static_cast<const volatile char*>(bytes)[size_bytes]);
      },
      testing::ExitedWithCode(77), "overrun: byte 1 behind a buffer of a message or an image");
}

TEST_F(Detection, CallersWithPointersToWhatIsNoMoreAreRefused) {
  demand(auxin_checkpoint_detect(AUXIN_CHECKPOINT_DETECT_CALLERS));
  auxin_checkpoint_state* state = nullptr;
  demand(auxin_checkpoint_state_create(nullptr, &state));
  auxin_checkpoint_image* image = nullptr;
  demand(auxin_checkpoint_image_create(100, &image));
  auxin_checkpoint_state_destroy(state);
  EXPECT_EQ(auxin_checkpoint_capture(state, AUXIN_CHECKPOINT_BASE), AUXIN_CHECKPOINT_WRONG_CALL);
  EXPECT_NE(error().find("the state is no more"), std::string::npos);
  EXPECT_EQ(auxin_checkpoint_remove(reinterpret_cast<auxin_checkpoint_state*>(image), 1),
            AUXIN_CHECKPOINT_WRONG_CALL);
  EXPECT_NE(error().find("its kind is image"), std::string::npos);
  EXPECT_EQ(auxin_checkpoint_save_wait(nullptr), AUXIN_CHECKPOINT_WRONG_CALL);
  testing::internal::CaptureStderr();
  auxin_checkpoint_state_destroy(state);  // a second time: told, and nothing done
  EXPECT_EQ(auxin_checkpoint_user_word(state), 0u);
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_NE(told.find("auxin_checkpoint_state_destroy: the state is no more"), std::string::npos);
  EXPECT_NE(told.find("auxin_checkpoint_user_word: "), std::string::npos);
  auxin_checkpoint_image_destroy(image);
}

TEST_F(Detection, ARangeThatIsNotMappedIsRefused) {
  State state;
  char* memory = static_cast<char*>(mmap(nullptr, 2 * kPageBytes, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  munmap(memory + kPageBytes, kPageBytes);
  demand(auxin_checkpoint_detect(AUXIN_CHECKPOINT_DETECT_CALLERS));
  EXPECT_EQ(auxin_checkpoint_add_range(state.get(), 1, memory, 2 * kPageBytes),
            AUXIN_CHECKPOINT_WRONG_CALL);
  EXPECT_EQ(auxin_checkpoint_add_range(state.get(), 1, memory, kPageBytes), AUXIN_CHECKPOINT_OK);
  munmap(memory, kPageBytes);
}

TEST_F(Detection, TheLogIsToldOfWhatWasFound) {
  std::vector<auxin_checkpoint_record> records;
  demand(auxin_checkpoint_log_to(
      [](void* to, const auxin_checkpoint_record* record) {
        static_cast<std::vector<auxin_checkpoint_record>*>(to)->push_back(*record);
      },
      &records));
  demand(auxin_checkpoint_detect(AUXIN_CHECKPOINT_DETECT_CALLERS));
  int nothing = 0;
  EXPECT_EQ(auxin_checkpoint_store_compact(
                reinterpret_cast<auxin_checkpoint_store*>(&nothing)),
            AUXIN_CHECKPOINT_WRONG_CALL);
  auxin_checkpoint_log_stop();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].event, AUXIN_CHECKPOINT_EVENT_DETECTED);
  EXPECT_EQ(records[0].status, AUXIN_CHECKPOINT_WRONG_CALL);
  EXPECT_EQ(records[0].value, reinterpret_cast<uint64_t>(&nothing));
}

}  // namespace
}  // namespace auxin::checkpoint
