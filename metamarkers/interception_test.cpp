// SPDX-License-Identifier: Apache-2.0
//
// Intercepts a small C++ library that is called by others, and checks for every way of passing
// arguments, returning results and leaving a function that the program can't tell, and that the
// thread's markers are right before, during and after. Each case runs with a caller that binds
// lazily and with one that is bound and write-protected before it runs.
#include "metamarkers/interception.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "metamarkers/elf_modules.h"
#include "metamarkers/samples/caller.h"

using namespace auxin::markers;

namespace {

constexpr const char* kTarget = "libauxin_sample_target.so";

// What happened, seen by probe() inside the functions and by the actions around them.
struct Seen {
  std::string name;
  int depth;
  uint64_t argument;
};
thread_local std::vector<Seen> probed;
thread_local int entered, left;
std::atomic<int> left_anywhere, probed_anywhere;
thread_local std::array<uint64_t, 6> last_arguments;
thread_local uint64_t last_result;
thread_local bool skip_next;
thread_local uint64_t skip_with;

void look() {
  MarkerStack& stack = this_thread();
  const Marker* top = stack.top();
  probed.push_back({top != nullptr ? join_point_name(top->join_point) : "", stack.depth(),
                    top != nullptr ? top->argument : 0});
  ++probed_anywhere;
}

bool enter_action(const JoinPoint&, Arguments& arguments, uint64_t* result) {
  errno = 77;  // must not be seen by anybody
  std::copy(std::begin(arguments.integer), std::end(arguments.integer), last_arguments.begin());
  if (skip_next) {
    skip_next = false;
    *result = skip_with;
    return false;
  }
  ++entered;
  return true;
}
void leave_action(const JoinPoint&, uint64_t result) {
  errno = 78;
  last_result = result;
  ++left;
  ++left_anywhere;
}

JoinPoint join_point(const char* name, const char* function, Role role = Role::kPlain) {
  JoinPoint result;
  result.name = name;
  result.function = function;
  result.library = "libauxin_sample_target.so*";
  result.role = role;
  return result;
}

const JoinPointMap& sample_map() {
  static const JoinPointMap map = [] {
    JoinPointMap result;
    result.name = "sample";
    result.join_points = {
        join_point("area", "sample::*::area(int) const"),  // Shape's and Square's
        join_point("plain", "sample::Shape::plain(int)", Role::kUpcall),
        join_point("big", "sample::Shape::big(int)"),
        join_point("many", "sample::many(*)"),
        join_point("doubles", "_ZN6sample7doublesEdddddddd"),
        join_point("mixed", "sample::mixed( long )"),
        join_point("complex", "sample::complex_result(double)"),
        join_point("long double", "sample::long_double_result(int)"),
        join_point("wide", "sample::wide_result(long, long)"),
        join_point("variadic", "sample::sum_variadic(int, ...)"),
        join_point("overloaded", "sample::overloaded(char const*)"),
        join_point("throws", "sample::throws(int)"),
        join_point("throws deep", "sample::throws_deep(int)"),
        join_point("recurse", "sample::recurse(int)"),
        join_point("exit", "sample::exit_thread()"),
        join_point("wait", "sample::wait_for_byte(int)"),
        join_point("jump", "sample::jump(void*)"),
        join_point("errno", "sample::sets_errno(int)", Role::kSuppressed),
        join_point("c", "c_function"),
        join_point("chain", "static_chain"),
    };
    result.join_points[1].argument_offset = 8;
    return result;
  }();
  return map;
}

const sample::Calls& calls_of(const char* library) {
  void* handle = dlopen(library, RTLD_LAZY | RTLD_GLOBAL);
  if (handle == nullptr) {
    ADD_FAILURE() << dlerror();
    abort();
  }
  auto* get = reinterpret_cast<const sample::Calls* (*)()>(dlsym(handle, "sample_calls"));
  return *get();
}

class Interception : public ::testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() { set_actions({enter_action, leave_action}); }
  void SetUp() override {
    calls_ = &calls_of(GetParam());
    installed_ = install(sample_map());
    ASSERT_EQ(installed_.missing_text(), "");
    *static_cast<void (**)()>(dlsym(RTLD_DEFAULT, "_ZN6sample5probeE")) = look;
    probed.clear();
    entered = left = 0;
  }
  // The function was entered and left once, and its marker was there meanwhile.
  void expect_passed_once(const char* name) {
    EXPECT_EQ(entered, 1);
    EXPECT_EQ(left, 1);
    ASSERT_EQ(probed.size(), 1u);
    EXPECT_EQ(probed[0].name, name);
    EXPECT_EQ(probed[0].depth, 1);
    EXPECT_EQ(this_thread().depth(), 0);
  }
  const sample::Calls* calls_ = nullptr;
  Installed installed_;
};

TEST_P(Interception, FindsEveryFunctionOfTheMap) {
  EXPECT_EQ(installed_.join_points, static_cast<int>(sample_map().join_points.size()));
  EXPECT_GT(installed_.references, installed_.join_points);
}

TEST_P(Interception, PassesVirtualCallsOfBaseAndDerived) {
  EXPECT_EQ(calls_->area(3, 5), 15);
  expect_passed_once("area");
  probed.clear();
  entered = left = 0;
  EXPECT_EQ(calls_->square_area(3, 5), 14);
  expect_passed_once("area");
}

TEST_P(Interception, GivesTheObjectPlusOffsetAsTheMarkersArgument) {
  sample::Shape* shape = nullptr;
  alignas(sample::Shape) char room[sizeof(sample::Shape)] = {};
  shape = reinterpret_cast<sample::Shape*>(room);
  EXPECT_EQ(calls_->plain(shape, 4), 4);
  expect_passed_once("plain");
  EXPECT_EQ(probed[0].argument, reinterpret_cast<uint64_t>(room) + 8);
  EXPECT_EQ(last_arguments[0], reinterpret_cast<uint64_t>(room));
  EXPECT_EQ(last_arguments[1] & 0xffffffff, 4u);
  EXPECT_EQ(last_result & 0xffffffff, 4u);
}

TEST_P(Interception, PassesSixIntegersAndEightDoubles) {
  EXPECT_EQ(calls_->many(1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 7, 8), 91 + 204);
  expect_passed_once("many");
  EXPECT_EQ(last_arguments, (std::array<uint64_t, 6>{1, 2, 3, 4, 5, 6}));
}

TEST_P(Interception, PassesEightDoublesAndReturnsOne) {
  EXPECT_EQ(calls_->doubles(8, 7, 6, 5, 4, 3, 2, 1), 8 - 14 + 18 - 20 + 20 - 18 + 14 - 8.0);
  expect_passed_once("doubles");
}

TEST_P(Interception, ReturnsAStructureThroughTheHiddenPointer) {
  alignas(sample::Shape) char room[sizeof(sample::Shape)] = {};
  const sample::Big big = calls_->big(reinterpret_cast<sample::Shape*>(room), 7);
  for (int index = 0; index < 8; ++index) EXPECT_EQ(big.values[index], 70 + index);
  expect_passed_once("big");
}

TEST_P(Interception, ReturnsInMixedRegisters) {
  const sample::Mixed mixed = calls_->mixed(9);
  EXPECT_EQ(mixed.floating, 4.5);
  EXPECT_EQ(mixed.integer, 27);
  expect_passed_once("mixed");
}

TEST_P(Interception, ReturnsInTwoVectorRegisters) {
  EXPECT_EQ(calls_->complex_result(2.5), std::complex<double>(2.5, -2.5));
  expect_passed_once("complex");
}

TEST_P(Interception, ReturnsOnTheFloatingPointStack) {
  EXPECT_EQ(calls_->long_double_result(2), 2.0L / 3);
  expect_passed_once("long double");
}

TEST_P(Interception, ReturnsInTwoIntegerRegisters) {
  EXPECT_TRUE(calls_->wide_result(5, 6) == (static_cast<__int128>(5) << 64) + 6);
  expect_passed_once("wide");
}

TEST_P(Interception, PassesVariadicDoubles) {
  EXPECT_EQ(calls_->sum_of_three(0.5, 1.25, 2), 3.75);
  expect_passed_once("variadic");
}

TEST_P(Interception, TellsOverloadsApart) {
  EXPECT_EQ(calls_->overloaded_int(5), 5);
  ASSERT_EQ(probed.size(), 1u);
  EXPECT_EQ(probed[0].depth, 0);  // not in the map
  probed.clear();
  EXPECT_EQ(calls_->overloaded_text("x"), -1);
  expect_passed_once("overloaded");
}

TEST_P(Interception, PassesTheStaticChain) {
  EXPECT_EQ(calls_->static_chain(0x123456789), 0x123456789);
  EXPECT_EQ(left, 1);
}

TEST_P(Interception, InterceptsCallsThroughAFunctionPointer) {
  EXPECT_EQ(calls_->through_pointer(4), 5);
  expect_passed_once("c");
}

TEST_P(Interception, KeepsErrnoBothWays) {
  errno = 5;
  EXPECT_EQ(calls_->c_function(1), 2);
  EXPECT_EQ(errno, 5);
  EXPECT_EQ(calls_->sets_errno(11), -1);
  EXPECT_EQ(errno, 11);
}

TEST_P(Interception, LetsAnExceptionPassAndLeaves) {
  EXPECT_EQ(calls_->catches(7), 1007);
  expect_passed_once("throws");
  EXPECT_EQ(last_result, 0u);
}

TEST_P(Interception, LetsAnExceptionPassTwoInterceptedFunctions) {
  EXPECT_EQ(calls_->catches_deep(7), 2007);
  EXPECT_EQ(entered, 2);
  EXPECT_EQ(left, 2);
  ASSERT_EQ(probed.size(), 2u);
  EXPECT_EQ(probed[0].name, "throws");
  EXPECT_EQ(probed[0].depth, 2);
  EXPECT_EQ(probed[1].name, "throws deep");  // the destructor that runs on the way
  EXPECT_EQ(probed[1].depth, 1);
  EXPECT_EQ(this_thread().depth(), 0);
}

TEST_P(Interception, LetsAnExceptionReachTheProgramThousandsOfTimes) {
  for (int round = 0; round < 5000; ++round) {
    try {
      calls_->passes_exception(round);
      FAIL();
    } catch (int caught) {
      ASSERT_EQ(caught, round);
    }
    ASSERT_EQ(this_thread().depth(), 0);
  }
  EXPECT_EQ(entered, 5000);
  EXPECT_EQ(left, 5000);
}

TEST_P(Interception, UncaughtExceptionEndsTheProcessWhereItWasThrown) {
  // The function's own marker is still there when std::terminate runs: nothing was unwound.
  EXPECT_EXIT(
      {
        std::set_terminate([] { _exit(this_thread().depth() == 1 ? 42 : 43); });
        std::thread([this] { calls_->passes_exception(1); }).join();
      },
      ::testing::ExitedWithCode(42), "");
}

TEST_P(Interception, RecursionStacksOneMarkerPerCall) {
  EXPECT_EQ(calls_->recurse(20), 20);
  EXPECT_EQ(entered, 21);
  EXPECT_EQ(left, 21);
  ASSERT_EQ(probed.size(), 1u);
  EXPECT_EQ(probed[0].depth, 21);
  EXPECT_EQ(this_thread().depth(), 0);
}

TEST_P(Interception, RecursionDeeperThanTheStackOfMarkersIsCounted) {
  EXPECT_EQ(calls_->recurse(kMaxMarkers + 50), kMaxMarkers + 50);
  EXPECT_EQ(left, kMaxMarkers + 51);
  ASSERT_EQ(probed.size(), 1u);
  EXPECT_EQ(probed[0].depth, kMaxMarkers);
  EXPECT_EQ(this_thread().depth(), 0);
  EXPECT_EQ(this_thread().overflow(), 0);
}

// Runs `body` on a thread of its own and notes what is left of markers when that is unwound.
struct OnAThread {
  const sample::Calls* calls;
  int fd;
  void (*body)(const OnAThread&);
  int depth_at_the_end = -1;

  static void* run(void* context) {
    OnAThread& self = *static_cast<OnAThread*>(context);
    struct End {
      int* depth;
      ~End() { *depth = this_thread().depth(); }
    } end{&self.depth_at_the_end};
    self.body(self);
    return context;
  }
};

TEST_P(Interception, ThreadExitPassesAndLeaves) {
  left_anywhere = 0;
  OnAThread there{calls_, -1, [](const OnAThread& self) { self.calls->exit_thread(); }};
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, nullptr, OnAThread::run, &there), 0);
  void* value = &thread;
  ASSERT_EQ(pthread_join(thread, &value), 0);
  EXPECT_EQ(value, nullptr);
  EXPECT_EQ(left_anywhere, 1);
  EXPECT_EQ(there.depth_at_the_end, 0);
}

TEST_P(Interception, CancellationPassesAndLeaves) {
  left_anywhere = probed_anywhere = 0;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  OnAThread there{calls_, ends[0],
                  [](const OnAThread& self) { self.calls->wait_for_byte(self.fd); }};
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, nullptr, OnAThread::run, &there), 0);
  while (probed_anywhere == 0) std::this_thread::yield();  // it is inside
  ASSERT_EQ(pthread_cancel(thread), 0);
  void* value = nullptr;
  ASSERT_EQ(pthread_join(thread, &value), 0);
  EXPECT_EQ(value, PTHREAD_CANCELED);
  EXPECT_EQ(left_anywhere, 1);
  EXPECT_EQ(there.depth_at_the_end, 0);
  close(ends[0]);
  close(ends[1]);
}

// An action that waits, as an ordered section does, and is cancelled there.
std::atomic<bool> waiting_in_action;
bool waiting_action(const JoinPoint&, Arguments&, uint64_t*) {
  waiting_in_action = true;
  for (;;) pause();
}

TEST_P(Interception, CancellationInsideAnActionTakesTheMarkerOff) {
  left_anywhere = probed_anywhere = 0;
  waiting_in_action = false;
  set_actions({waiting_action, leave_action});
  OnAThread there{calls_, -1, [](const OnAThread& self) { self.calls->c_function(1); }};
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, nullptr, OnAThread::run, &there), 0);
  while (!waiting_in_action) std::this_thread::yield();
  ASSERT_EQ(pthread_cancel(thread), 0);
  ASSERT_EQ(pthread_join(thread, nullptr), 0);
  set_actions({enter_action, leave_action});
  EXPECT_EQ(there.depth_at_the_end, 0);
  EXPECT_EQ(probed_anywhere, 0);  // the function did not run
  EXPECT_EQ(left_anywhere, 0);
}

TEST_P(Interception, MarkerThatWasJumpedOverIsDroppedAtTheNextCall) {
  bool nested = false;
  EXPECT_EQ(calls_->jumps(&nested), 7);
  EXPECT_TRUE(nested);
  ASSERT_EQ(probed.size(), 2u);
  EXPECT_EQ(probed[0].name, "jump");
  EXPECT_EQ(probed[1].name, "c");
  EXPECT_EQ(probed[1].depth, 1);  // without the jump's
  EXPECT_EQ(this_thread().top(), nullptr);
}

TEST_P(Interception, SkipsTheFunctionWhereTheActionSaysSo) {
  skip_next = true;
  skip_with = 4242;
  EXPECT_EQ(calls_->sets_errno(11), 4242);
  EXPECT_EQ(probed.size(), 0u);
  EXPECT_EQ(left, 0);
  EXPECT_EQ(this_thread().depth(), 0);
}

TEST_P(Interception, SecondInstallationChangesNothing) {
  const Installed again = install(sample_map());
  EXPECT_EQ(again.missing_text(), "");
  EXPECT_EQ(again.join_points, installed_.join_points);
  EXPECT_EQ(again.references, installed_.references);
  EXPECT_EQ(calls_->c_function(1), 2);
  EXPECT_EQ(left, 1);
}

// The first page that the dynamic linker write-protects after relocation in the named module.
uintptr_t relocated_read_only_page(const char* module_name) {
  struct Search {
    const char* name;
    uintptr_t page;
  } search{module_name, 0};
  for_each_elf_module(
      [](const ElfModule& module, void* context) {
        Search& looking = *static_cast<Search*>(context);
        if (module.named(looking.name)) looking.page = module.relro_begin;
      },
      &search);
  return search.page;
}

std::string protection_of(uintptr_t address) {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    uintptr_t begin = 0, end = 0;
    char protection[5] = {};
    if (sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, protection) == 3 && begin <= address &&
        address < end) {
      return protection;
    }
  }
  return "";
}

TEST_P(Interception, WriteProtectionIsRestored) {
  for (const char* module : {GetParam(), kTarget}) {  // the target has the vtables
    const uintptr_t page = relocated_read_only_page(module);
    ASSERT_NE(page, 0u) << module;
    EXPECT_EQ(protection_of(page), "r--p") << module;
  }
}

INSTANTIATE_TEST_SUITE_P(Binding, Interception,
                         ::testing::Values("libauxin_sample_caller_lazy.so",
                                           "libauxin_sample_caller_now.so"),
                         [](const auto& binding) {
                           return std::string(binding.param).find("lazy") != std::string::npos
                                      ? "Lazy"
                                      : "Now";
                         });

// --- installation, without the fixture's map ----------------------------------------------------

JoinPointMap* map_of(std::vector<JoinPoint> join_points) {  // lives for ever, as a map must
  auto* map = new JoinPointMap;
  map->name = "made up";
  map->join_points = std::move(join_points);
  return map;
}

TEST(Installation, NamesWhatIsMissingAndWhy) {
  calls_of("libauxin_sample_caller_now.so");
  JoinPoint optional = join_point("only applications", "sample::unused_by_anybody(int)");
  optional.optional = true;
  JoinPoint elsewhere = join_point("elsewhere", "sample::many(*)");
  elsewhere.library = "libnothing.so*";
  const Installed installed =
      install(*map_of({join_point("no symbol", "sample::nowhere()"),
                       join_point("no caller", "sample::unused_by_anybody(int)"), elsewhere,
                       join_point("wrong arguments", "sample::recurse(long)")}));
  EXPECT_EQ(installed.join_points, 0);
  EXPECT_EQ(installed.missing_text(),
            "no symbol (no such function in libauxin_sample_target.so*), "
            "no caller (nothing refers to it), elsewhere (no libnothing.so* is loaded), "
            "wrong arguments (no such function in libauxin_sample_target.so*)");
  JoinPoint plugin = elsewhere;
  plugin.optional = true;
  EXPECT_EQ(install(*map_of({plugin})).missing_text(), "") << "it may never be loaded";
  EXPECT_EQ(install(*map_of({optional})).missing_text().find("already intercepted"), 19u);
}

TEST(Installation, InterceptsALibraryThatIsLoadedLater) {
  const sample::Calls& early = calls_of("libauxin_sample_caller_now.so");
  const Installed before = install(sample_map());
  ASSERT_EQ(before.missing_text(), "");
  const sample::Calls& late = calls_of("libauxin_sample_caller_late.so");
  set_actions({enter_action, leave_action});
  left = 0;
  EXPECT_EQ(late.c_function(1), 2);
  EXPECT_EQ(left, 0);
  const Installed after = install(sample_map());
  EXPECT_GT(after.references, before.references);
  EXPECT_EQ(late.c_function(1), 2);
  EXPECT_EQ(left, 1);
  EXPECT_EQ(early.c_function(1), 2);
  EXPECT_EQ(left, 2);
}

TEST(Installation, LeavesAModulesOwnDefinitionAlone) {
  calls_of("libauxin_sample_caller_now.so");
  void* handle = dlopen("libauxin_sample_caller_own.so", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  ASSERT_NE(handle, nullptr) << dlerror();
  auto* get = reinterpret_cast<const sample::Calls* (*)()>(dlsym(handle, "sample_calls"));
  set_actions({enter_action, leave_action});
  ASSERT_EQ(install(sample_map()).missing_text(), "");
  left = 0;
  EXPECT_EQ(get()->c_function(1), 1001);  // samples/own_function.cpp
  EXPECT_EQ(left, 0);
}

TEST(Installation, DropsWhatMatchesTooMuchAndSaysHowMany) {
  calls_of("libauxin_sample_caller_now.so");
  ASSERT_EQ(install(sample_map()).missing_text(), "");
  JoinPoint many = join_point("everything", "std::*");
  many.library = "libstdc++.so*";  // thousands
  const Installed installed =
      install(*map_of({many, join_point("nothing", "sample::nowhere()")}));
  EXPECT_EQ(installed.references, 0);
  ASSERT_EQ(installed.missing.size(), 2u);
  EXPECT_TRUE(installed.missing[0].too_wide);
  EXPECT_FALSE(installed.missing[1].too_wide);
  int functions = 0;
  EXPECT_EQ(sscanf(installed.missing[0].why.c_str(), "matches %d functions", &functions), 1);
  EXPECT_GT(functions, 1000);
}

TEST(Installation, SaysWhenStubsRunOut) {
  calls_of("libauxin_sample_caller_now.so");
  ASSERT_EQ(install(sample_map()).missing_text(), "");
  // The members of two classes of strings by the length and the first letter of their names: none
  // of these matches too much, all together do.
  std::vector<JoinPoint> members;
  for (const char* character : {"c", "w"}) {
    for (char length = '1'; length <= '9'; ++length) {
      for (char letter = 'a'; letter <= 'z'; ++letter) {
        JoinPoint member = join_point("strings", "");
        member.function = std::string("_ZNSt7__cxx1112basic_stringI") + character + "*EE";
        member.function += {length, letter, '*'};
        member.library = "libstdc++.so*";
        member.optional = true;
        members.push_back(member);
      }
    }
  }
  JoinPointMap* map = map_of(members);
  // In a child: this process still needs its stubs, and libstdc++ is no place for them.
  EXPECT_EXIT(
      {
        set_actions({nullptr, nullptr});
        const Installed installed = install(*map);
        const bool said = installed.missing_text().find("(no stub left: 128") != std::string::npos;
        _exit(said ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

long replacement(long value) { return value + 500; }

TEST(Rebinding, PointsReferencesAtATargetAndBack) {
  const sample::Calls& lazy = calls_of("libauxin_sample_caller_lazy.so");
  const sample::Calls& now = calls_of("libauxin_sample_caller_now.so");
  void* original = dlsym(RTLD_DEFAULT, "c_function");
  ASSERT_NE(original, nullptr);
  EXPECT_GE(rebind("c_function", reinterpret_cast<void*>(replacement)), 2);
  EXPECT_EQ(lazy.c_function(1), 501);
  EXPECT_EQ(now.c_function(1), 501);
  EXPECT_EQ(now.through_pointer(1), 501);
  EXPECT_EQ(rebind("c_function", reinterpret_cast<void*>(replacement)), 0);
  EXPECT_GE(rebind("c_function", original), 2);
  EXPECT_EQ(lazy.c_function(1), 2);
  EXPECT_EQ(now.c_function(1), 2);
  EXPECT_EQ(rebind("no_such_function_anywhere", original), 0);
}

TEST(Rebinding, LeavesAnotherInterposersReferencesAlone) {
  void* handle = dlopen("libauxin_sample_caller_own.so", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  ASSERT_NE(handle, nullptr) << dlerror();
  calls_of("libauxin_sample_caller_now.so");
  auto* get = reinterpret_cast<const sample::Calls* (*)()>(dlsym(handle, "sample_calls"));
  void* original = dlsym(RTLD_DEFAULT, "c_function");
  rebind("c_function", reinterpret_cast<void*>(replacement));
  EXPECT_EQ(get()->c_function(1), 1001);
  rebind("c_function", original);
}

TEST(Rebinding, RunsBesideCallsOnOtherThreads) {
  const sample::Calls& now = calls_of("libauxin_sample_caller_now.so");
  void* original = dlsym(RTLD_DEFAULT, "c_function");
  std::atomic<bool> stop{false};
  std::atomic<long> wrong{0}, old_results{0}, new_results{0};
  std::vector<std::thread> threads;
  for (int count = 0; count < 2; ++count) {
    threads.emplace_back([&] {
      while (!stop) {
        const long result = now.c_function(1);
        if (result == 2) ++old_results;
        else if (result == 501) ++new_results;
        else ++wrong;
      }
    });
  }
  std::thread installer([&] {
    while (!stop) install(sample_map());
  });
  // Until both have been seen, and some more.
  for (int round = 0; round < 200 || old_results == 0 || new_results == 0; ++round) {
    rebind("c_function", reinterpret_cast<void*>(replacement));
    rebind("c_function", original);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  installer.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
