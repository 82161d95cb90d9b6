// SPDX-License-Identifier: Apache-2.0
//
// libauxin_reifying_test.so: the hooks with every facet installed in its default form, which is
// libc's own calls. A program must not be able to tell. By environment:
//   AUXIN_TEST_SELECT=all      every synchronisation object is a contention point and every value
//                              read is one (otherwise none)
//   AUXIN_TEST_SOCKETS=reify   every bound or connected socket gets a MetaSocket that says it is
//                              virtual and does what libc does
// Site class: one per module.
#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "libmeta_os/counters.h"
#include "libmeta_os/descriptor_table.h"
#include "libmeta_os/modules.h"
#include "libmeta_os/real_calls.h"

namespace auxin::os {
namespace {

class ByModule : public Classification {
 public:
  Verdict synchronisation_object(CallSite site) override {
    const Module* const module = module_of(site.address);
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

  bool is_virtual() const override { return true; }
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
    set_any_virtual(true);
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

 private:
  static int made(int fd, int result) {
    if (result == 0 && meta_socket(fd) == nullptr) Transparent::make_for(fd);
    return result;
  }
};

ByModule by_module;
SynchronisationFacet synchronisation;
ThreadFacet threads;
DescriptorFacet descriptors;
Sockets sockets;
ValueFacet values;
ProcessFacet process;

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
    classification = &by_module;
  }
} installed;

}  // namespace
}  // namespace auxin::os
