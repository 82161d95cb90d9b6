// SPDX-License-Identifier: Apache-2.0
//
// A page's byte: its state in the low bits, above it what the page map said when it was protected.
//
//   kClosed → kChanging → kOpen    in the handler, around its mprotect
//   any → kChanging → kClosed      at a look, around its mprotect: a store in between is copied
//
// Whoever has put it to kChanging calls mprotect, others wait: a look by yielding, a handler by
// returning to a store that faults again. A handler has all signals blocked meanwhile, so it comes
// to its end even if threads are being stopped. Pages that are let go of stay kOpen: a fault may
// be under way.
#include "checkpoint/tracking/fault_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "checkpoint/tracking/page_states.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

using os::raw_syscall;

enum : uint8_t {
  kNotOurs = 0, kClosed = 1, kChanging = 2, kOpen = 3, kStateMask = 3,
  kExecutable = 4,
  // What the page map said.
  kNotThere = 0, kOwnPage = 8, kOtherPage = 16, kThereMask = 24,
};

// The kernel's own structure: glibc hides the restorer.
struct Action {
  void (*handler)(int, siginfo_t*, void*);
  uint64_t flags;
  void (*restorer)();
  uint64_t mask;
};
constexpr uint64_t kRestorer = 0x04000000;  // SA_RESTORER

// Faults of one place in a row, on an open page, after which they are the application's.
constexpr uint32_t kPatience = 1000;

constinit PageStates states;
constinit std::atomic<bool> taken{false};
Action before{};  // whoever had the signal before

asm(R"(
.pushsection .text
.type auxin_fault_return, @function
auxin_fault_return:
  mov $15, %eax
  syscall
.size auxin_fault_return, . - auxin_fault_return
.popsection
)");
extern "C" void auxin_fault_return() __attribute__((visibility("hidden")));

void handle(int signal, siginfo_t* info, void* context);

Action our_action() {
  Action action{};
  action.handler = handle;
  action.flags = SA_SIGINFO | SA_ONSTACK | kRestorer;
  action.restorer = auxin_fault_return;
  action.mask = ~uint64_t{0};
  return action;
}

bool exchange(const Action* next, Action* previous) {
  return raw_syscall(SYS_rt_sigaction, SIGSEGV, reinterpret_cast<long>(next),
                     reinterpret_cast<long>(previous), 8) == 0;
}

long set_protection(uint64_t begin, uint64_t end, int protection) {
  return raw_syscall(SYS_mprotect, static_cast<long>(begin), static_cast<long>(end - begin),
                     protection);
}

int open_protection(uint8_t state) {
  return PROT_READ | PROT_WRITE | ((state & kExecutable) != 0 ? PROT_EXEC : 0);
}
int closed_protection(bool executable) { return PROT_READ | (executable ? PROT_EXEC : 0); }

// To kChanging, once nobody else has it there.
void begin_change(PageStates::State& byte) {
  for (uint8_t state = byte.load();; state = byte.load()) {
    if ((state & kStateMask) == kChanging) {
      raw_syscall(SYS_sched_yield);
      continue;
    }
    const uint8_t changing = static_cast<uint8_t>((state & ~kStateMask) | kChanging);
    if (byte.compare_exchange_strong(state, changing)) return;
  }
}

// By whoever has it in kChanging.
void set_state(PageStates::State& byte, uint8_t state) {
  byte.store(static_cast<uint8_t>((byte.load() & ~kStateMask) | state));
}

// More of the pages around, for a process that has as many mappings as the kernel allows.
void open_more(uint64_t page) {
  for (uint64_t around = 64; around <= uint64_t{1} << 20; around *= 16) {
    uint64_t begin = page, end = page + kPageBytes;
    const auto ours = [](uint64_t at) {
      const PageStates::State* state = states.at(at);
      return state != nullptr && (state->load() & kStateMask) != kNotOurs;
    };
    while (page - begin < around * kPageBytes && ours(begin - kPageBytes)) begin -= kPageBytes;
    while (end - page < around * kPageBytes && ours(end)) end += kPageBytes;
    const int protection = open_protection(states.at(page)->load());
    if (set_protection(begin, end, protection) != 0) continue;
    for (uint64_t at = begin; at < end; at += kPageBytes) {
      PageStates::State& byte = *states.at(at);
      uint8_t state = byte.load();
      // One that is changing comes to be what its changer says.
      if ((state & kStateMask) == kClosed) {
        byte.compare_exchange_strong(state, static_cast<uint8_t>((state & ~kStateMask) | kOpen));
      }
    }
    return;
  }
}

// True: the store may be tried again.
bool opened(uint64_t address) {
  static thread_local uint64_t last_open = 0;
  static thread_local uint32_t times_open = 0;
  const uint64_t page = address / kPageBytes * kPageBytes;
  PageStates::State* byte = states.at(page);
  if (byte == nullptr) return false;
  uint8_t state = byte->load();
  switch (state & kStateMask) {
    case kClosed: {
      const uint8_t changing = static_cast<uint8_t>((state & ~kStateMask) | kChanging);
      if (!byte->compare_exchange_strong(state, changing)) return true;  // somebody else is at it
      if (set_protection(page, page + kPageBytes, open_protection(state)) != 0) open_more(page);
      set_state(*byte, kOpen);
      last_open = 0;
      return true;
    }
    case kChanging: return true;
    case kOpen:
      // It was opened between the fault and here; or it faults for another reason: then on and on.
      times_open = last_open == address ? times_open + 1 : 0;
      last_open = address;
      return times_open < kPatience;
    default: return false;
  }
}

void chain(int signal, siginfo_t* info, void* context) {
  const auto handler = reinterpret_cast<uint64_t>(before.handler);
  constexpr uint64_t kDefault = 0, kIgnore = 1;
  if (handler == kDefault || handler == kIgnore) {
    // The instruction faults again, and the kernel does what it does then.
    Action action{};
    exchange(&action, nullptr);
    return;
  }
  // With the mask that the kernel would have given it: its own and that of what was interrupted.
  uint64_t mask = *reinterpret_cast<const uint64_t*>(
                      &static_cast<ucontext_t*>(context)->uc_sigmask) |
                  before.mask;
  if ((before.flags & SA_NODEFER) == 0) mask |= uint64_t{1} << (SIGSEGV - 1);
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&mask), 0, 8);
  before.handler(signal, info, context);
}

void handle(int signal, siginfo_t* info, void* context) {
  constexpr int kProtectionFault = 2;  // SEGV_ACCERR
  if (info->si_code == kProtectionFault &&
      opened(reinterpret_cast<uint64_t>(info->si_addr))) {
    return;
  }
  chain(signal, info, context);
}

// What the page map says of pages, 256 at a time.
class PageMap {
 public:
  PageMap()
      : fd_(static_cast<int>(raw_syscall(SYS_openat, AT_FDCWD,
                                         reinterpret_cast<long>("/proc/self/pagemap"),
                                         O_RDONLY | O_CLOEXEC))) {}
  ~PageMap() {
    if (fd_ >= 0) raw_syscall(SYS_close, fd_);
  }
  bool valid() const { return fd_ >= 0; }
  // kNotThere, kOwnPage or kOtherPage. A page of zeros, or of a file, is not the process's own.
  uint8_t at(uint64_t address) {
    const uint64_t index = address / kPageBytes;
    if (index < first_ || index >= first_ + kEntries) {
      first_ = index;
      const long got = raw_syscall(SYS_pread64, fd_, reinterpret_cast<long>(entries_),
                                   sizeof(entries_), static_cast<long>(index * 8));
      for (long i = got < 0 ? 0 : got / 8; i < static_cast<long>(kEntries); ++i) entries_[i] = 0;
    }
    constexpr uint64_t kPresent = uint64_t{1} << 63, kSwapped = uint64_t{1} << 62,
                       kExclusive = uint64_t{1} << 56;
    const uint64_t entry = entries_[index - first_];
    if ((entry & (kPresent | kSwapped)) == 0) return kNotThere;
    return (entry & (kExclusive | kSwapped)) != 0 ? kOwnPage : kOtherPage;
  }

 private:
  static constexpr uint64_t kEntries = 256;
  const int fd_;
  uint64_t first_ = UINT64_MAX - kEntries;
  uint64_t entries_[kEntries];
};

// Calls visit(begin, end) for the areas of [begin, end) that may be written. False: not known.
template <typename Visit>
bool for_writable_areas(uint64_t begin, uint64_t end, Visit visit) {
  const int fd = static_cast<int>(raw_syscall(
      SYS_openat, AT_FDCWD, reinterpret_cast<long>("/proc/self/maps"), O_RDONLY | O_CLOEXEC));
  if (fd < 0) return false;
  char text[2048];
  uint64_t numbers[2] = {0, 0};
  int field = 0;  // 0, 1: the addresses; 2: the protection; 3: the rest of the line
  int letter = 0;
  bool writable = false;
  long got;
  while ((got = raw_syscall(SYS_read, fd, reinterpret_cast<long>(text), sizeof(text))) > 0) {
    for (long i = 0; i < got; ++i) {
      const char c = text[i];
      if (c == '\n') {
        const uint64_t from = numbers[0] > begin ? numbers[0] : begin;
        const uint64_t to = numbers[1] < end ? numbers[1] : end;
        if (writable && from < to) visit(from, to);
        numbers[0] = numbers[1] = 0;
        field = letter = 0;
        writable = false;
      } else if (field < 2 && (c == '-' || c == ' ')) {
        ++field;
      } else if (field < 2) {
        numbers[field] = numbers[field] * 16 + static_cast<uint64_t>(c <= '9' ? c - '0'
                                                                              : c - 'a' + 10);
      } else if (field == 2) {
        if (letter++ == 1) {
          writable = c == 'w';
          field = 3;
        }
      }
    }
  }
  raw_syscall(SYS_close, fd);
  return got == 0;
}

// Closes pages of the range; what the page map says of them is noted. False: mprotect refuses, and
// they are open.
bool close_pages(uint64_t begin, uint64_t end, bool executable, PageMap& map) {
  for (uint64_t page = begin; page < end; page += kPageBytes) begin_change(*states.at(page));
  const bool closed = set_protection(begin, end, closed_protection(executable)) == 0;
  for (uint64_t page = begin; page < end; page += kPageBytes) {
    states.at(page)->store(static_cast<uint8_t>((closed ? kClosed : kOpen) |
                                                (executable ? kExecutable : 0) | map.at(page)));
  }
  return closed;
}

}  // namespace

bool FaultPages::open() {
  if (taken.exchange(true)) return false;
  const Action action = our_action();
  open_ = exchange(&action, &before);
  if (!open_) taken.store(false);
  return open_;
}

void FaultPages::close() {
  if (!open_) return;
  Action now{};
  if (exchange(nullptr, &now) && now.handler == handle) exchange(&before, nullptr);
  open_ = false;
  taken.store(false);
}

bool FaultPages::take_over() {
  open_ = false;
  taken.store(false);
  Action now{};
  if (!exchange(nullptr, &now)) return false;
  if (now.handler != handle) return open();
  taken.store(true);
  return open_ = true;
}

void FaultPages::begin_look() {
  Action now{};
  if (!exchange(nullptr, &now) || now.handler == handle) return;
  before = now;
  const Action action = our_action();
  exchange(&action, nullptr);
}

bool FaultPages::protect(uint64_t begin, uint64_t end, bool executable) {
  if (!states.make_room(begin, end)) return false;
  PageMap map;
  return close_pages(begin, end, executable, map) && map.valid();
}

void FaultPages::release(uint64_t begin, uint64_t end, bool executable) {
  for (uint64_t page = begin; page < end; page += kPageBytes) {
    PageStates::State* byte = states.at(page);
    if (byte == nullptr || (byte->load() & kStateMask) != kClosed) continue;
    begin_change(*byte);
    // One by one: what is not mapped any more is left out.
    set_protection(page, page + kPageBytes,
                   open_protection(executable ? uint8_t{kExecutable} : uint8_t{0}));
    set_state(*byte, kOpen);
  }
}

bool FaultPages::look(uint64_t begin, uint64_t end, bool executable, uint32_t* replaced,
                      const RunVisitor& visitor) {
  PageMap map;
  if (!map.valid() || !states.make_room(begin, end)) return false;
  // Mapped anew, or opened by the process itself: whatever is writable and not known to be.
  const bool known = for_writable_areas(begin, end, [&](uint64_t from, uint64_t to) {
    bool found = false;
    for (uint64_t page = from; page < to; page += kPageBytes) {
      PageStates::State& byte = *states.at(page);
      uint8_t state = byte.load();
      if ((state & kStateMask) != kClosed) continue;
      found |= byte.compare_exchange_strong(
          state, static_cast<uint8_t>((state & ~kStateMask) | kOpen));
    }
    *replaced += found ? 1 : 0;
  });
  if (!known) return false;
  const auto changed = [&](uint64_t page) {
    PageStates::State& byte = *states.at(page);
    while ((byte.load() & kStateMask) == kChanging) raw_syscall(SYS_sched_yield);
    const uint8_t state = byte.load();
    return (state & kStateMask) != kClosed || (state & kThereMask) != map.at(page);
  };
  for (uint64_t page = begin; page < end;) {
    if (!changed(page)) {
      page += kPageBytes;
      continue;
    }
    uint64_t run_end = page + kPageBytes;
    while (run_end < end && changed(run_end)) run_end += kPageBytes;
    close_pages(page, run_end, executable, map);
    visitor(PageRun{page, run_end, RunKind::kChanged});
    page = run_end;
  }
  return true;
}

}  // namespace auxin::checkpoint
