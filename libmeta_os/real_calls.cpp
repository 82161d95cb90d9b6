// SPDX-License-Identifier: Apache-2.0
//
// The resolver of real_calls.h.
//
// All members are resolved at once, at the first call of any: that is before the process has a
// second thread, so that no later hook can meet the linker's lock inside dlsym while another thread
// holds it in a dlopen.
//
// Thread safety: threads that resolve at the same time store the same values.
#include "libmeta_os/real_calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace auxin::os {
namespace {

// Says which call is missing and ends the process: nothing else can be returned.
[[noreturn]] void report_missing(const char* name) {
  constexpr char kBefore[] = "auxin: the C library has no ";
  const iovec parts[] = {{const_cast<char*>(kBefore), sizeof(kBefore) - 1},
                         {const_cast<char*>(name), strlen(name)},
                         {const_cast<char*>("\n"), 1}};
  syscall(SYS_writev, STDERR_FILENO, parts, 3);
  __builtin_trap();
}

// The stub that a member starts as. `Tag` has the member and its name.
template <class Tag, class Function>
struct Stub;

template <class Tag, class Result, class... Parameters>
struct Stub<Tag, Result (*)(Parameters...)> {
  static Result call(Parameters... arguments) {
    const int saved_errno = errno;
    resolve_real_calls();
    errno = saved_errno;
    const auto target = Tag::member(real_calls);
    if (target == &call) report_missing(Tag::kName);
    return target(arguments...);
  }
};

void* next(const char* name, const char* version) {
  return version[0] != '\0' ? dlvsym(RTLD_NEXT, name, version) : dlsym(RTLD_NEXT, name);
}

#define AUXIN_LIST_CALL(family, facet, result, name, parameters, note)
#define AUXIN_LEFT(family, name, reason)

#define AUXIN_CALL(family, facet, result, name, parameters, version, note)                     \
  struct Row_##name {                                                                          \
    static constexpr char kName[] = #name;                                                     \
    static decltype(RealCalls::name) member(const RealCalls& calls) { return calls.name; }      \
  };
#include "libmeta_os/hook_table.def"
#undef AUXIN_CALL

}  // namespace

constinit RealCalls real_calls = {
#define AUXIN_CALL(family, facet, result, name, parameters, version, note) \
  &Stub<Row_##name, decltype(RealCalls::name)>::call,
#include "libmeta_os/hook_table.def"
#undef AUXIN_CALL
};

const char* resolve_real_calls() {
  const char* missing = nullptr;
#define AUXIN_CALL(family, facet, result, name, parameters, version, note)                      \
  if (void* const found = next(#name, version); found != nullptr) {                             \
    __atomic_store_n(&real_calls.name, reinterpret_cast<decltype(RealCalls::name)>(found),      \
                     __ATOMIC_RELAXED);                                                         \
  } else if (missing == nullptr) {                                                              \
    missing = #name;                                                                            \
  }
#include "libmeta_os/hook_table.def"
#undef AUXIN_CALL
  return missing;
}

}  // namespace auxin::os
