// SPDX-License-Identifier: Apache-2.0
//
// libauxin_reifying_test.so: the hooks with every facet installed in its default form, which is
// libc's own calls. A program must not be able to tell. By environment:
//   AUXIN_TEST_SELECT=all      every synchronisation object is a contention point and every value
//                              read is one (otherwise none)
//   AUXIN_TEST_SOCKETS=reify   every bound or connected socket gets a MetaSocket that says it is
//                              virtual and does what libc does
//   AUXIN_TEST_VALUES=fixed    what a value facet gives is fixed (kTime, kWord, …)
//   AUXIN_TEST_REPORT=on       process and thread events are written to standard error, and
//                              programs that are started get AUXIN_SEEN=1 as their environment
//   AUXIN_TEST_FACTORY=on      the main thread is under a kMutexFactory marker
//   AUXIN_TEST_OBSERVE=on      every call of every family is observed, and each observation is
//                              checked: its site is the program's, each before has its after
//   AUXIN_TEST_OBSERVE=told    the same, and what was observed is told when the program ends
// Site class: one per module.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "libmeta_os/counters.h"
#include "libmeta_os/descriptor_table.h"
#include "libmeta_os/modules.h"
#include "libmeta_os/observation.h"
#include "libmeta_os/real_calls.h"
#include "metamarkers/marker_stack.h"

namespace auxin::os {
namespace {

class ByModule : public Classification {
 public:
  Verdict synchronisation_object(CallSite site) override {
    const Module* const module = module_of(site.address);
    // Whoever stands between, a hook is called by the program.
    if (module != nullptr && module == module_of(reinterpret_cast<const void*>(&attach))) abort();
    return {select_all_, site_class(module == nullptr ? "?" : module->name, ""), true};
  }
  bool value(CallSite) override { return select_all_; }
  void select_all() { select_all_ = true; }

 private:
  bool select_all_ = false;
};

// A MetaSocket that is libc.
class Transparent : public MetaSocket {
 public:
  static void make_for(int fd);

  ssize_t receive(int fd, msghdr* message, int flags, CallSite) override {
    return real().recvmsg(fd, message, flags);
  }
  ssize_t send(int fd, const msghdr* message, int flags, CallSite) override {
    return real().sendmsg(fd, message, flags);
  }
  int accept(int fd, sockaddr* address, socklen_t* length, int flags, CallSite) override {
    const int accepted = real().accept4(fd, address, length, flags);
    if (accepted >= 0) make_for(accepted);
    return accepted;
  }
  int shutdown(int fd, int how) override { return real().shutdown(fd, how); }
  int close(int fd, bool last) override {
    if (last) in_use_.store(false);
    return real().close(fd);
  }
  int fcntl(int fd, int command, long argument) override {
    return real().fcntl(fd, command, reinterpret_cast<void*>(argument));
  }
  int ioctl(int fd, unsigned long request, void* argument) override {
    return real().ioctl(fd, request, argument);
  }
  int setsockopt(int fd, int level, int name, const void* value, socklen_t length) override {
    return real().setsockopt(fd, level, name, value, length);
  }
  int getsockopt(int fd, int level, int name, void* value, socklen_t* length) override {
    return real().getsockopt(fd, level, name, value, length);
  }
  int getpeername(int fd, sockaddr* address, socklen_t* length) override {
    return real().getpeername(fd, address, length);
  }
  int getsockname(int fd, sockaddr* address, socklen_t* length) override {
    return real().getsockname(fd, address, length);
  }
  short readiness(short events) override { return events; }

 private:
  std::atomic<bool> in_use_{false};
};

Transparent transparent[1024];

void Transparent::make_for(int fd) {
  for (Transparent& each : transparent) {
    if (each.in_use_.exchange(true)) continue;
    attach(fd, &each);
    return;
  }
}

class Sockets : public DescriptorFacet {
 public:
  int bind(int fd, const sockaddr* address, socklen_t length, CallSite) override {
    return made(fd, real().bind(fd, address, length));
  }
  int connect(int fd, const sockaddr* address, socklen_t length, CallSite) override {
    return made(fd, real().connect(fd, address, length));
  }
  bool takes_polls() const override { return true; }

 private:
  static int made(int fd, int result) {
    if (result == 0 && meta_socket(fd) == nullptr) Transparent::make_for(fd);
    return result;
  }
};

class Fixed : public ValueFacet {
 public:
  int clock_gettime(clockid_t, timespec* time, CallSite) override {
    *time = {1'000'000'007, 9};
    return 0;
  }
  int gettimeofday(timeval* time, void*, CallSite) override {
    *time = {1'000'000'007, 5};
    return 0;
  }
  time_t time(time_t* time, CallSite) override {
    if (time != nullptr) *time = 1'000'000'007;
    return 1'000'000'007;
  }
  ssize_t getrandom(void* buffer, size_t size, unsigned, CallSite) override {
    const size_t step = size < 7 ? size : 7;  // less than asked for
    memset(buffer, 'r', step);
    return static_cast<ssize_t>(step);
  }
  long random(CallSite) override { return 41; }
  int rand(CallSite) override { return 42; }
  unsigned random_device(CallSite) override { return 43; }
  pid_t getpid() override { return 44; }
  uint64_t word(uint64_t, CallSite) override { return 45; }
  void processors(size_t size, cpu_set_t* cpus) override {
    CPU_ZERO_S(size, cpus);
    for (int cpu = 0; cpu < 45; ++cpu) CPU_SET_S(cpu, size, cpus);
  }
  int clock_nanosleep(clockid_t, int, const timespec*, timespec*, CallSite) override { return 0; }
};

void report(const char* what) {
  real().write(STDERR_FILENO, what, strlen(what));
  real().write(STDERR_FILENO, "\n", 1);
}

class ReportingProcess : public ProcessFacet {
 public:
  void modules_changed() override { report("modules changed"); }
  void exiting(int status) override { report(status == 0 ? "exiting with 0" : "exiting"); }
  void forked_child() override { report("forked child"); }
  void unsupported(Unsupported use, const char* symbol, CallSite) override {
    report((std::string(unsupported_name(use)) + " " + symbol).c_str());
  }
  char* const* exec_environment(char* const*) override {
    static char seen[] = "AUXIN_SEEN=1";
    static char* const environment[] = {seen, nullptr};
    return environment;
  }
};

class ReportingThreads : public ThreadFacet {
 public:
  Start creating(Start start, CallSite) override {
    report("creating");
    start_ = start;
    return {run, &start_};
  }
  void creation_failed(Start replaced) override {
    report(replaced.argument == &start_ ? "creation failed" : "?");
  }

 private:
  static void* run(void* start) {
    report("begun");
    const auto its = *static_cast<Start*>(start);
    return its.routine(its.argument);
  }
  Start start_{};  // one thread at a time
};

ByModule by_module;
SynchronisationFacet synchronisation;
ThreadFacet threads;
DescriptorFacet descriptors;
Sockets sockets;
ValueFacet values;
ProcessFacet process;
Fixed fixed;
ReportingProcess reporting_process;
ReportingThreads reporting_threads;

// Trusts nothing: what is wrong ends the program.
class Checking : public Observer {
 public:
  uint32_t families() const override { return ~0u; }
  void before(const ObservedCall& call, Kept& kept) override {
    const void* const own = reinterpret_cast<const void*>(&attach);
    const auto* const below = reinterpret_cast<const void* const*>(call.frame) - 1;
    if (call.row >= kCallRowCount || module_of(call.site.address) == module_of(own) ||
        *below != call.site.address || kept != Kept{}) {
      abort();
    }
    kept = {call.frame, call.arguments[0], 7, 9};
    errno = EBADMSG;  // is not the program's to see
  }
  void after(const ObservedCall& call, const Kept& kept, int64_t result, int, bool left) override {
    if (kept != Kept{call.frame, call.arguments[0], 7, 9} || (left && result != 0)) abort();
    ++observed_[call.row];
    errno = EBADMSG;
  }
  void tell() const {
    for (uint16_t row = 0; row < kCallRowCount; ++row) {
      if (const int count = observed_[row].load(); count > 0) {
        char line[96];
        snprintf(line, sizeof line, "observed %s %d", kCallRows[row].name, count);
        report(line);
      }
    }
  }

 private:
  std::atomic<int> observed_[512] = {};
};
Checking checking;

// Sees mutexes only, before `checking` does, and ends the program where that is not so.
class First : public Observer {
 public:
  uint32_t families() const override { return family_bit(Family::mutex); }
  void before(const ObservedCall& call, Kept& kept) override {
    if (kCallRows[call.row].family != Family::mutex || kept != Kept{}) abort();
    kept = {1, 2, 3, call.arguments[0]};
  }
  void after(const ObservedCall& call, const Kept& kept, int64_t, int, bool) override {
    if (kept != Kept{1, 2, 3, call.arguments[0]}) abort();
    ++seen_;
  }
  void tell() const {
    char line[96];
    snprintf(line, sizeof line, "first %d", seen_.load());
    report(line);
  }

 private:
  std::atomic<int> seen_{0};
};
First first;

bool environment_says(const char* name, const char* value) {
  const char* const set = getenv(name);
  return set != nullptr && strcmp(set, value) == 0;
}

// The last object of this file, so the others are there.
struct Installed {
  Installed() {
    if (environment_says("AUXIN_TEST_SELECT", "all")) by_module.select_all();
    facets = {&synchronisation, &threads, &descriptors, &values, &process};
    if (environment_says("AUXIN_TEST_SOCKETS", "reify")) facets.descriptors = &sockets;
    if (environment_says("AUXIN_TEST_VALUES", "fixed")) facets.values = &fixed;
    if (environment_says("AUXIN_TEST_REPORT", "on")) {
      facets.process = &reporting_process;
      facets.threads = &reporting_threads;
    }
    if (environment_says("AUXIN_TEST_FACTORY", "on")) {
      markers::this_thread().push(markers::Role::kMutexFactory, 0, 0, UINTPTR_MAX);
    }
    classification = &by_module;
    const char* const observed = getenv("AUXIN_TEST_OBSERVE");
    if (observed == nullptr) return;
    observe(&checking);
    if (strcmp(observed, "told") == 0) atexit([] { checking.tell(); });
    if (strcmp(observed, "twice") != 0) return;
    observe(&first, ObserverPlace::kDisturber);
    atexit([] {
      observe(nullptr);  // the other one stays
      checking.tell();
      first.tell();
    });
  }
} installed;

}  // namespace
}  // namespace auxin::os
