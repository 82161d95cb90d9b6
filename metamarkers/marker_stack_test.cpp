// SPDX-License-Identifier: Apache-2.0
//
// The stack of markers: with made-up frames (a stack grows downwards: deeper frames have lower
// addresses), and on real ones where the current stack pointer matters.
#include "metamarkers/marker_stack.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <csignal>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

using namespace auxin::markers;

namespace {

// Above every real frame, so that nothing here is ever taken for stale.
constexpr uintptr_t kHigh = UINTPTR_MAX - 0x10000;

TEST(MarkerStack, ThreadStartsWithoutMarkers) {
  std::thread([] {
    EXPECT_EQ(this_thread().depth(), 0);
    EXPECT_EQ(this_thread().top(), nullptr);
    EXPECT_EQ(this_thread().innermost(Role::kUpcall), nullptr);
  }).join();
}

TEST(MarkerStack, InnermostFindsTheNearestOfARole) {
  MarkerStack stack;
  stack.push(Role::kUpcall, 1, 10, kHigh + 40);
  stack.push(Role::kInfrastructure, 2, 20, kHigh + 30);
  stack.push(Role::kUpcall, 3, 30, kHigh + 20);
  stack.push(Role::kContentionPoint, 4, 40, kHigh + 10);
  EXPECT_EQ(stack.innermost(Role::kUpcall)->argument, 30u);
  EXPECT_EQ(stack.innermost(Role::kInfrastructure)->join_point, 2);
  EXPECT_EQ(stack.top()->argument, 40u);
  EXPECT_EQ(stack.innermost(Role::kSuppressed), nullptr);
}

TEST(MarkerStack, PopTakesWhatLiesAboveToo) {
  MarkerStack stack;
  stack.push(Role::kUpcall, 1, 0, kHigh + 40);
  stack.push(Role::kPlain, 2, 0, kHigh + 30);
  stack.push(Role::kPlain, 3, 0, kHigh + 20);
  stack.pop(kHigh + 30);
  EXPECT_EQ(stack.depth(), 1);
  stack.pop(kHigh + 99);  // nothing was put there
  EXPECT_EQ(stack.depth(), 1);
  stack.pop(kHigh + 1);
  EXPECT_EQ(stack.depth(), 1);
  stack.pop(kHigh + 40);
  EXPECT_EQ(stack.depth(), 0);
  stack.pop(kHigh + 40);
  EXPECT_EQ(stack.depth(), 0);
}

TEST(MarkerStack, PushDropsMarkersOfDeeperFrames) {
  MarkerStack stack;
  stack.push(Role::kUpcall, 1, 0, kHigh + 40);
  stack.push(Role::kPlain, 2, 0, kHigh + 10);  // jumped over
  stack.push(Role::kPlain, 3, 0, kHigh + 30);
  EXPECT_EQ(stack.depth(), 2);
  EXPECT_EQ(stack.top()->join_point, 3);
}

TEST(MarkerStack, TwoMarkersOfOneFrameArePoppedOneByOne) {
  MarkerStack stack;
  stack.push(Role::kUpcall, 1, 0, kHigh);
  stack.push(Role::kPlain, 2, 0, kHigh);
  EXPECT_EQ(stack.depth(), 2);
  stack.pop(kHigh);
  EXPECT_EQ(stack.top()->join_point, 1);
  stack.pop(kHigh);
  EXPECT_EQ(stack.depth(), 0);
}

TEST(MarkerStack, UnwindingToAFrameDropsItsMarkersAndDeeperOnes) {
  MarkerStack stack;
  stack.push(Role::kUpcall, 1, 0, kHigh + 40);
  stack.push(Role::kPlain, 2, 0, kHigh + 30);
  stack.push(Role::kPlain, 3, 0, kHigh + 20);
  stack.unwind_to(kHigh + 30);
  EXPECT_EQ(stack.depth(), 1);
}

TEST(MarkerStack, DeeperThanItsRoomIsCountedAndComesBack) {
  MarkerStack stack;
  for (int index = 0; index < kMaxMarkers + 10; ++index) {
    stack.push(Role::kPlain, static_cast<uint16_t>(index), 0, kHigh + 1000 - 10 * index);
  }
  EXPECT_EQ(stack.depth(), kMaxMarkers);
  EXPECT_EQ(stack.overflow(), 10);
  EXPECT_EQ(stack.top()->join_point, kMaxMarkers - 1);
  for (int index = kMaxMarkers + 9; index >= kMaxMarkers; --index) {
    stack.pop(kHigh + 1000 - 10 * index);
    EXPECT_EQ(stack.depth(), kMaxMarkers);
  }
  EXPECT_EQ(stack.overflow(), 0);
  for (int index = kMaxMarkers - 1; index >= 0; --index) {
    stack.pop(kHigh + 1000 - 10 * index);
    EXPECT_EQ(stack.depth(), index);
  }
}

TEST(MarkerStack, UnwindingPastTheRoomForgetsWhatWasCounted) {
  MarkerStack stack;
  for (int index = 0; index < kMaxMarkers + 10; ++index) {
    stack.push(Role::kPlain, static_cast<uint16_t>(index), 0, kHigh + 1000 - 10 * index);
  }
  stack.pop(kHigh + 1000);  // the outermost
  EXPECT_EQ(stack.depth(), 0);
  EXPECT_EQ(stack.overflow(), 0);
}

[[gnu::noinline]] void put_marker_and_forget(MarkerStack& stack) {
  stack.push(Role::kUpcall, 7, 0, reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
  EXPECT_NE(stack.innermost(Role::kUpcall), nullptr);
}

TEST(MarkerStack, MarkerWhoseFrameIsGoneIsDroppedWhenLookedAt) {
  MarkerStack stack;
  put_marker_and_forget(stack);
  char room[4096];  // the function below looks from deeper than the forgotten frame, this one not
  asm volatile("" : : "r"(room) : "memory");
  stack.push(Role::kPlain, 1, 0, reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
  EXPECT_EQ(stack.innermost(Role::kUpcall), nullptr);
  EXPECT_EQ(stack.depth(), 1);
}

// A handler on an alternate stack at a higher address than the interrupted frames must not take
// their markers for stale.
int depth_in_handler = -1, depth_after_push = -1;
void handler(int) {
  MarkerStack& stack = this_thread();
  depth_in_handler = stack.top() != nullptr ? stack.depth() : 0;
  stack.push(Role::kPlain, 9, 0, reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
  depth_after_push = stack.depth();
  stack.pop(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
}

void* interrupted(void*) {
  MarkerStack& stack = this_thread();
  stack.push(Role::kUpcall, 1, 0, reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
  raise(SIGUSR1);
  EXPECT_EQ(depth_in_handler, 1);
  EXPECT_EQ(depth_after_push, 2);
  EXPECT_EQ(stack.depth(), 1);
  EXPECT_NE(stack.innermost(Role::kUpcall), nullptr);
  stack.pop(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
  stack_t off{};
  off.ss_flags = SS_DISABLE;
  sigaltstack(&off, nullptr);
  return nullptr;
}

TEST(MarkerStack, HandlerOnAnAlternateStackSeesTheMarkers) {
  // One mapping: the thread's stack below, the alternate one above.
  constexpr size_t kHalf = 1 << 20;
  char* mapping = static_cast<char*>(
      mmap(nullptr, 2 * kHalf, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(mapping, MAP_FAILED);
  static char* alternate;
  alternate = mapping + kHalf;
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_ONSTACK;
  struct sigaction before {};
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  ASSERT_EQ(pthread_attr_setstack(&attributes, mapping, kHalf), 0);
  pthread_t thread;
  ASSERT_EQ(pthread_create(
                &thread, &attributes,
                [](void* context) -> void* {
                  stack_t stack{};
                  stack.ss_sp = alternate;
                  stack.ss_size = kHalf;
                  EXPECT_EQ(sigaltstack(&stack, nullptr), 0);
                  return interrupted(context);
                },
                nullptr),
            0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  sigaction(SIGUSR1, &before, nullptr);
  munmap(mapping, 2 * kHalf);
}

// Any history of nested calls, returns and jumps over several frames: the stack always holds
// exactly the markers of the frames that a model holds (those jumped over until the next push or
// pop).
TEST(MarkerStack, AgreesWithAModelOnRandomHistories) {
  const char* given = getenv("AUXIN_SEED");
  const unsigned seed = given != nullptr ? static_cast<unsigned>(strtoul(given, nullptr, 0))
                                         : std::random_device{}();
  RecordProperty("seed", static_cast<int>(seed));
  printf("seed: AUXIN_SEED=%u\n", seed);
  std::mt19937 random(seed);
  MarkerStack stack;
  std::vector<uintptr_t> frames;  // of the live calls, outermost first
  uintptr_t next = kHigh + 0xf000;
  for (int step = 0; step < 20000; ++step) {
    const unsigned choice = random() % 10;
    if (choice < 5 && frames.size() < kMaxMarkers) {  // call
      const uintptr_t frame = (frames.empty() ? next : frames.back()) - 1 - random() % 8;
      stack.unwind_to(frame);
      stack.push(Role::kPlain, static_cast<uint16_t>(frames.size()), frame, frame);
      frames.push_back(frame);
    } else if (choice < 9 && !frames.empty()) {  // return
      stack.pop(frames.back());
      frames.pop_back();
    } else if (!frames.empty()) {  // longjmp over some, then the frame that set it returns
      frames.resize(1 + random() % frames.size());
      stack.pop(frames.back());
      frames.pop_back();
    }
    ASSERT_EQ(stack.depth(), static_cast<int>(frames.size())) << "step " << step;
    for (int index = 0; index < stack.depth(); ++index) {
      ASSERT_EQ(stack.at(index).argument, frames[static_cast<size_t>(index)]);
    }
  }
}

}  // namespace
