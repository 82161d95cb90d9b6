// SPDX-License-Identifier: Apache-2.0
//
// The stand-ins for pipe2, read and syscall (libunwind 1.6 writes with it; others use pipe and
// write). The pipe's ends are numbers that no descriptor has; everything else goes to the kernel.
#include "metamarkers/address_check.h"

#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string_view>

#include "metamarkers/elf_modules.h"

namespace auxin::markers {

namespace {

constexpr int kReadEnd = INT_MIN + 1;
constexpr int kWriteEnd = INT_MIN + 2;

int make_pipe(int* ends) {
  ends[0] = kReadEnd;
  ends[1] = kWriteEnd;
  return 0;
}

int make_pipe_with_flags(int* ends, int) { return make_pipe(ends); }

// libunwind empties its pipe before it writes to it.
ssize_t read_from(int fd, void* buffer, size_t size) {
  if (fd != kReadEnd) return syscall(SYS_read, fd, buffer, size);
  errno = EAGAIN;
  return -1;
}

ssize_t write_to(int fd, const void* buffer, size_t size) {
  if (fd != kWriteEnd) return syscall(SYS_write, fd, buffer, size);
  if (is_readable(buffer)) return static_cast<ssize_t>(size);
  errno = EFAULT;
  return -1;
}

// A variadic function's first arguments come where these do.
long call_kernel(long number, long a, long b, long c, long d, long e, long f) {
  if (number == SYS_write && static_cast<int>(a) == kWriteEnd) {
    return write_to(kWriteEnd, reinterpret_cast<const void*>(b), static_cast<size_t>(c));
  }
  return syscall(number, a, b, c, d, e, f);
}

enum Step { kMakes, kReads, kWrites, kSteps };

struct StandIn {
  const char* symbol;
  uintptr_t function;
  Step step;
};

const StandIn kStandIns[] = {
    {"pipe2", reinterpret_cast<uintptr_t>(&make_pipe_with_flags), kMakes},
    {"pipe", reinterpret_cast<uintptr_t>(&make_pipe), kMakes},
    {"read", reinterpret_cast<uintptr_t>(&read_from), kReads},
    {"syscall", reinterpret_cast<uintptr_t>(&call_kernel), kWrites},
    {"write", reinterpret_cast<uintptr_t>(&write_to), kWrites},
};

struct Replacing {
  uintptr_t within;      // an address in the module
  ModuleWriter* writer;  // null: only looks
  bool found[kSteps];
  bool failed, done;
};

void visit_reference(const FunctionReference& reference, void* context) {
  Replacing& replacing = *static_cast<Replacing*>(context);
  if (reference.symbol == nullptr) return;
  for (const StandIn& each : kStandIns) {
    if (std::string_view(reference.symbol) != each.symbol) continue;
    replacing.found[each.step] = true;
    if (replacing.writer != nullptr && !replacing.writer->write(reference.word, each.function)) {
      replacing.failed = true;
    }
  }
}

void visit_module(const ElfModule& module, void* context) {
  Replacing& replacing = *static_cast<Replacing*>(context);
  if (!module.contains(replacing.within)) return;
  for_each_function_reference(module, visit_reference, context);
  for (const bool found : replacing.found) {
    if (!found) return;
  }
  ModuleWriter writer(module);
  replacing.writer = &writer;
  for_each_function_reference(module, visit_reference, context);
  replacing.writer = nullptr;
  replacing.done = !replacing.failed;
}

}  // namespace

bool use_descriptorless_checks(const void* function) {
  Replacing replacing{};
  replacing.within = reinterpret_cast<uintptr_t>(function);
  for_each_elf_module(visit_module, &replacing);
  return replacing.done;
}

bool is_stand_in(uintptr_t function) {
  for (const StandIn& each : kStandIns) {
    if (each.function == function) return true;
  }
  return false;
}

// The kernel fetches the new signal mask before it finds that it is not asked to set one. An
// aligned word lies on one page, so what holds for it holds for the byte. (For address 0 it fetches
// nothing and succeeds.)
bool is_readable(const void* address) {
  constexpr int kNothing = -1;  // neither SIG_BLOCK, SIG_UNBLOCK nor SIG_SETMASK
  const uintptr_t word = reinterpret_cast<uintptr_t>(address) & ~uintptr_t{7};
  const int saved_errno = errno;
  const long result = syscall(SYS_rt_sigprocmask, kNothing, word, nullptr, sizeof(uint64_t));
  const bool readable = result != 0 && errno == EINVAL;
  errno = saved_errno;
  return readable;
}

}  // namespace auxin::markers
