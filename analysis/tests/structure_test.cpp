// SPDX-License-Identifier: Apache-2.0
//
// Goal: the structure of sources is what a reader of them would say. Method: small sources with
// what C++ has to offer, read by the program that reads them for the command.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "analysis/structure/read_sources.h"

namespace auxin::analysis {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class StructureTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("structure-" + std::to_string(getpid()));
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
  }
  void unit(const std::string& name, const std::string& text, const std::string& options = "") {
    write(name, text);
    database_.push_back({{"directory", directory_.string()},
                         {"file", name},
                         {"command", "c++ -std=c++20 " + options + " -c " + name}});
  }
  SourcesPlan plan() {
    write("compile_commands.json", database_.dump());
    SourcesPlan plan;
    plan.database = directory_.string();
    plan.reader = STRUCTURE_READER;
    return plan;
  }
  Structure read() {
    auto structure = read_sources(plan());
    if (!structure) {
      ADD_FAILURE() << structure.error();
      return {};
    }
    return std::move(*structure);
  }

  fs::path directory_;
  nlohmann::json database_ = nlohmann::json::array();
};

const StructureFunction& function(const Structure& structure, const std::string& name) {
  static const StructureFunction kNone;
  for (const StructureFunction& it : structure.functions) {
    if (it.name == name) return it;
  }
  std::string all;
  for (const StructureFunction& it : structure.functions) all += " " + it.name;
  ADD_FAILURE() << "no function " << name << " in" << all;
  return kNone;
}

const StructureClass& class_named(const Structure& structure, const std::string& name) {
  static const StructureClass kNone;
  for (const StructureClass& it : structure.classes) {
    if (it.name == name) return it;
  }
  ADD_FAILURE() << "no class " << name;
  return kNone;
}

std::vector<std::string> mentions(const StructureFunction& function) {
  std::vector<std::string> objects;
  for (const StructureMention& mention : function.mentions) objects.push_back(mention.object);
  return objects;
}

// The names of what it calls, as far as it is in the structure.
std::vector<std::string> calls(const Structure& structure, const StructureFunction& function) {
  std::vector<std::string> names;
  for (const StructureCall& call : function.calls) {
    for (const StructureFunction& it : structure.functions) {
      if (it.key == call.key) names.push_back(it.name);
    }
  }
  return names;
}

TEST_F(StructureTest, ClassesHaveBasesMembersAndPlaces) {
  unit("a.cpp", R"(#include <mutex>
namespace bank {
class Base { protected: std::mutex inherited_; };
class Account : public virtual Base {
 public:
  long deposit(long amount);
  virtual ~Account() = default;
 private:
  mutable std::recursive_mutex mutex_;
  long balance_ = 0;
};
long Account::deposit(long amount) {
  std::lock_guard lock(mutex_);
  return balance_ += amount;
}
class Savings : public Account {
  void interest() { std::scoped_lock both(inherited_, *other_); deposit(1); }
  std::mutex* other_;
};
})");
  const Structure structure = read();
  EXPECT_THAT(structure.failures, IsEmpty());
  const StructureClass& account = class_named(structure, "bank::Account");
  EXPECT_EQ(account.place.text(), "a.cpp:4");
  EXPECT_THAT(account.bases, ElementsAre(class_named(structure, "bank::Base").key));
  ASSERT_EQ(account.members.size(), 2u);
  EXPECT_EQ(account.members[0].synchronisation, SynchronisationKind::kMutex);
  EXPECT_EQ(account.members[1].synchronisation, SynchronisationKind::kNone);
  const StructureFunction& deposit = function(structure, "bank::Account::deposit");
  EXPECT_THAT(deposit.symbols, ElementsAre("_ZN4bank7Account7depositEl"));
  EXPECT_EQ(deposit.class_key, account.key);
  EXPECT_EQ(deposit.place.text(), "a.cpp:12");
  EXPECT_THAT(mentions(deposit), ElementsAre("bank::Account::mutex_"));
  const StructureFunction& interest = function(structure, "bank::Savings::interest");
  EXPECT_THAT(mentions(interest),
              UnorderedElementsAre("bank::Base::inherited_", "bank::Savings::other_"));
  EXPECT_THAT(calls(structure, interest), ElementsAre("bank::Account::deposit"));
}

TEST_F(StructureTest, VirtualCallsAndOverridesAreKnown) {
  unit("a.cpp", R"(struct Shape { virtual void draw(); virtual ~Shape(); };
struct Square : Shape { void draw() override {} };
void show(Shape& shape) { shape.draw(); })");
  const Structure structure = read();
  const StructureFunction& show = function(structure, "show");
  const StructureFunction& draw = function(structure, "Square::draw");
  ASSERT_EQ(draw.overrides.size(), 1u);
  EXPECT_TRUE(draw.is_virtual);
  bool found = false;
  for (const StructureCall& call : show.calls) {
    found = found || (call.key == draw.overrides[0] && call.is_virtual);
  }
  EXPECT_TRUE(found);
}

TEST_F(StructureTest, TemplatesAreKnownByTheirPatterns) {
  unit("a.cpp", R"(#include <mutex>
template <class T> class Guarded {
 public:
  void set(T value) { std::lock_guard<std::mutex> lock(mutex_); value_ = value; }
  template <class F> void with(F use) { std::lock_guard<std::mutex> lock(mutex_); use(value_); }
 private:
  std::mutex mutex_;
  T value_;
};
void f(Guarded<int>& it) { it.set(1); it.with([](int&) {}); })");
  const Structure structure = read();
  const StructureFunction& set = function(structure, "Guarded::set");
  EXPECT_THAT(set.symbols, IsEmpty());
  EXPECT_THAT(mentions(set), ElementsAre("Guarded::mutex_"));
  EXPECT_THAT(mentions(function(structure, "Guarded::with")), ElementsAre("Guarded::mutex_"));
  EXPECT_THAT(calls(structure, function(structure, "f")),
              UnorderedElementsAre("Guarded::set", "Guarded::with", "f::{lambda(int &)#1}"));
}

TEST_F(StructureTest, LambdasMacrosAndAnonymousNamespaces) {
  unit("a.cpp", R"(#include <mutex>
#include <thread>
#define LOCKED(m) std::lock_guard<std::mutex> locked(m)
namespace {
std::mutex table_mutex;
void hidden() { LOCKED(table_mutex); }
void (*const kTable[])() = {hidden};
}
namespace outer::inner {
void work() {
  static std::once_flag once;
  std::call_once(once, [] { hidden(); });
  std::thread([](int) { LOCKED(table_mutex); }, 3).join();
  for (auto* each : kTable) each();
}
})");
  const Structure structure = read();
  EXPECT_THAT(structure.failures, IsEmpty());
  ASSERT_EQ(structure.variables.size(), 2u);
  EXPECT_EQ(structure.variables[0].name, "(anonymous namespace)::table_mutex");
  EXPECT_EQ(structure.variables[1].name, "outer::inner::work::once");
  EXPECT_EQ(structure.variables[1].synchronisation, SynchronisationKind::kOnce);
  const StructureFunction& hidden = function(structure, "(anonymous namespace)::hidden");
  EXPECT_THAT(mentions(hidden), ElementsAre("(anonymous namespace)::table_mutex"));
  EXPECT_EQ(hidden.mentions[0].line, 6u);  // where the macro is used
  EXPECT_THAT(calls(structure, function(structure, "outer::inner::work::{lambda()#1}")),
              ElementsAre("(anonymous namespace)::hidden"));
  EXPECT_THAT(mentions(function(structure, "outer::inner::work::{lambda(int)#1}")),
              ElementsAre("(anonymous namespace)::table_mutex"));
  EXPECT_THAT(calls(structure, function(structure, "(anonymous namespace)::kTable")),
              ElementsAre("(anonymous namespace)::hidden"));
  EXPECT_THAT(calls(structure, function(structure, "outer::inner::work")),
              ::testing::Contains("(anonymous namespace)::kTable"));
}

TEST_F(StructureTest, PlainCIsRead) {
  write("c.c", "#include <pthread.h>\nstruct pool { pthread_mutex_t lock; };\n"
               "static pthread_rwlock_t all = PTHREAD_RWLOCK_INITIALIZER;\n"
               "void enter(struct pool *class) { pthread_mutex_lock(&class->lock); "
               "pthread_rwlock_rdlock(&all); }\n");
  database_.push_back({{"directory", directory_.string()},
                       {"file", "c.c"},
                       {"arguments", {"cc", "-c", "c.c"}}});
  const Structure structure = read();
  EXPECT_THAT(structure.failures, IsEmpty());
  const StructureFunction& enter = function(structure, "enter");
  EXPECT_THAT(enter.symbols, ElementsAre("enter"));
  EXPECT_THAT(mentions(enter), ElementsAre("pool::lock", "all"));
}

TEST_F(StructureTest, AUnitThatDoesNotCompileIsNamedAndTheRestGoesOn) {
  unit("good.cpp", "void good() {}");
  unit("bad.cpp", "#include \"missing.h\"\nvoid partly() {}\nint x = ;\nclass {");
  const Structure structure = read();
  EXPECT_EQ(structure.units, 2u);
  function(structure, "good");
  function(structure, "partly");
  ASSERT_EQ(structure.failures.size(), 1u);
  EXPECT_EQ(structure.failures[0].file, (directory_ / "bad.cpp").string());
  EXPECT_THAT(structure.failures[0].reason, HasSubstr("'missing.h' file not found"));
}

TEST_F(StructureTest, WhatUnitsShareIsThereOnce) {
  write("shared.h", "struct Shared { int f() { return 1; } };");
  unit("a.cpp", "#include \"shared.h\"\nint main() { return Shared().f(); }");
  fs::create_directories(directory_ / "below");
  write("b.cpp", "#include \"shared.h\"\nint main() { return Shared().f() + 1; }");
  database_.push_back({{"directory", (directory_ / "below").string()},
                       {"file", "../b.cpp"},
                       {"command", "c++ -c ../b.cpp"}});
  const Structure structure = read();
  ASSERT_EQ(structure.classes.size(), 1u);
  EXPECT_EQ(structure.classes[0].place.file, (directory_ / "shared.h").string());
  // Two programs: each has its own main.
  EXPECT_EQ(structure.functions.size(), 3u);
}

TEST_F(StructureTest, OptionsOfAnotherCompilerDoNotStandInTheWay) {
  unit("a.cpp", "void f() { VALUE; }", "-DVALUE='(void)0' -fno-canonical-system-headers "
                                       "-Wno-such-warning -mindirect-branch=thunk --param a=1");
  EXPECT_THAT(read().failures, IsEmpty());
}

TEST_F(StructureTest, WithoutLibclangItIsSaidWhatToInstall) {
  unit("a.cpp", "void f() {}");
  setenv("AUXIN_LIBCLANG", "/nowhere/libclang.so", 1);
  auto structure = read_sources(plan());
  setenv("AUXIN_LIBCLANG", "libc.so.6", 1);
  auto foreign = read_sources(plan());
  unsetenv("AUXIN_LIBCLANG");
  EXPECT_FALSE(structure);
  EXPECT_THAT(structure.error(), HasSubstr("apt install libclang1-14"));
  EXPECT_FALSE(foreign);
  EXPECT_THAT(foreign.error(), HasSubstr("has no clang_createIndex"));
}

TEST_F(StructureTest, AReaderThatFailsCostsItsUnitOrIsNamed) {
  unit("a.cpp", "void f() {}");
  SourcesPlan broken = plan();
  broken.reader = "/nowhere/auxin-structure";
  EXPECT_THAT(read_sources(broken).error(), HasSubstr("reinstall Auxin"));
  broken.reader = "/bin/echo";
  EXPECT_THAT(read_sources(broken).error(), HasSubstr("no unit could be read"));
  broken.reader = STRUCTURE_READER;
  broken.interrupted = [] { return true; };
  EXPECT_EQ(read_sources(broken).error(), "interrupted");
}

TEST(SynchronisationTypes, AreKnownByTheirNames) {
  const auto kind = [](const char* type) { return synchronisation_of_type(type, type); };
  EXPECT_EQ(kind("std::mutex"), SynchronisationKind::kMutex);
  EXPECT_EQ(kind("omni_mutex *"), SynchronisationKind::kMutex);
  EXPECT_EQ(kind("const std::vector<std::shared_mutex> &"), SynchronisationKind::kRwlock);
  EXPECT_EQ(kind("pthread_cond_t[4]"), SynchronisationKind::kCondition);
  EXPECT_EQ(synchronisation_of_type("pthread_once_t", "int"), SynchronisationKind::kOnce);
  EXPECT_EQ(kind("std::lock_guard<std::mutex>"), SynchronisationKind::kNone);
  EXPECT_EQ(kind("std::unique_lock<std::mutex>"), SynchronisationKind::kNone);
  EXPECT_EQ(kind("void (std::mutex &)"), SynchronisationKind::kNone);
  EXPECT_EQ(kind("my::std::mutex"), SynchronisationKind::kNone);
  EXPECT_EQ(kind("std::mutex_like"), SynchronisationKind::kNone);
  EXPECT_EQ(kind("int"), SynchronisationKind::kNone);
}

TEST(SynchronisationTypes, WhatStandsBetweenLockAndCallerIsKnown) {
  for (const char* name :
       {"std::mutex::lock()", "std::lock_guard<std::mutex>::lock_guard(std::mutex&)",
        "__gthread_mutex_lock(pthread_mutex_t*)", "omni_mutex_lock::omni_mutex_lock(omni_mutex&)",
        "omni_mutex::lock()", "void std::call_once<f()::{lambda()#1}>(std::once_flag&, f)",
        "std::__shared_mutex_pthread::lock_shared()", "std::unique_lock<std::mutex>::lock()",
        "std::condition_variable::wait(std::unique_lock<std::mutex>&)",
        "std::_V2::condition_variable_any::notify_one()", "pthread_mutex_lock"}) {
    EXPECT_TRUE(is_lock_wrapper(name)) << name;
  }
  for (const char* name : {"std::locale::locale()", "bank::Account::deposit(long)", "main",
                           "std::function<void ()>::operator()() const", "omni_mutexes::f()"}) {
    EXPECT_FALSE(is_lock_wrapper(name)) << name;
  }
}

}  // namespace
}  // namespace auxin::analysis
