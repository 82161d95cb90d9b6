// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/interrupted_call.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <time.h>

#include <atomic>

#include "libmeta_os/raw_syscall.h"

// long auxin_wait_again(long number, const long arguments[6]): the call, by an instruction whose
// place is known. A stop signal that meets it between its first instruction and the call makes it
// return kStoppedAgain.
extern "C" long auxin_wait_again(long number, const long* arguments);
extern "C" const char auxin_wait_again_done[];
asm(R"(
  .text
  .globl auxin_wait_again, auxin_wait_again_done
  .hidden auxin_wait_again, auxin_wait_again_done
  .type auxin_wait_again, @function
auxin_wait_again:
  .cfi_startproc
  mov %rdi, %rax
  mov %rsi, %r11
  mov 0(%r11), %rdi
  mov 8(%r11), %rsi
  mov 16(%r11), %rdx
  mov 24(%r11), %r10
  mov 32(%r11), %r8
  mov 40(%r11), %r9
  syscall
auxin_wait_again_done:
  ret
  .cfi_endproc
  .size auxin_wait_again, . - auxin_wait_again
)");

namespace auxin::checkpoint {
namespace {

using os::raw_syscall;

constexpr long kStoppedAgain = -512;  // no errno: the kernel's own ERESTARTSYS, never seen outside
constexpr int kArgumentRegisters[6] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
constexpr uint64_t kSecondNs = 1'000'000'000;

uint64_t now_ns() {
  timespec now;
  raw_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, reinterpret_cast<long>(&now));
  return static_cast<uint64_t>(now.tv_sec) * kSecondNs + static_cast<uint64_t>(now.tv_nsec);
}

uint64_t duration_ns(const timespec& time) {
  if (time.tv_sec < 0) return 0;
  if (static_cast<uint64_t>(time.tv_sec) > UINT64_MAX / kSecondNs / 4) return UINT64_MAX / 4;
  return static_cast<uint64_t>(time.tv_sec) * kSecondNs + static_cast<uint64_t>(time.tv_nsec);
}

uint64_t argument(const ucontext_t& frame, int index) {
  return static_cast<uint64_t>(frame.uc_mcontext.gregs[kArgumentRegisters[index]]);
}

const timespec* timespec_argument(const ucontext_t& frame, int index) {
  return reinterpret_cast<const timespec*>(argument(frame, index));
}

// `mov $number, %eax`, a few instructions that load arguments, `syscall`: how libc makes its calls.
// For the rare thread that was seen on its way into the call.
int64_t number_from_code(uint64_t rip) {
  const auto* code = reinterpret_cast<const unsigned char*>(rip);
  const uint64_t on_this_page = rip & 4095;
  if (on_this_page < 7 || code[-2] != 0x0f || code[-1] != 0x05) return -1;
  const auto reach = static_cast<int>(on_this_page < 32 ? on_this_page : 32);
  for (int back = 7; back <= reach; ++back) {
    if (code[-back] != 0xb8) continue;
    uint32_t number;
    __builtin_memcpy(&number, code - back + 1, sizeof number);
    if (number < 1024) return number;
  }
  return -1;
}

bool is_call_instruction(uint64_t rip) {
  const auto* code = reinterpret_cast<const unsigned char*>(rip);
  return (rip & 4095) != 4095 && code[0] == 0x0f && code[1] == 0x05;
}

}  // namespace

void InterruptedCall::examine(const ucontext_t& frame, const CallBefore& before) {
  *this = InterruptedCall{};
  const auto rip = static_cast<uint64_t>(frame.uc_mcontext.gregs[REG_RIP]);
  const auto rsp = static_cast<uint64_t>(frame.uc_mcontext.gregs[REG_RSP]);
  const bool cut_short = frame.uc_mcontext.gregs[REG_RAX] == -EINTR;
  const auto done = reinterpret_cast<uint64_t>(auxin_wait_again_done);
  if (rip >= reinterpret_cast<uint64_t>(&auxin_wait_again) &&
      (rip < done || (rip == done && cut_short))) {
    number_ = kStoppedAgain;  // go_on() tells the outer handler
    place_ = Place::kAfter;
    return;
  }
  if (!cut_short) {
    // Where the kernel makes it again by itself, the frame is before it.
    if (is_call_instruction(rip)) place_ = Place::kBefore;
    return;
  }
  if (before.number >= 0 && before.rip == rip && before.rsp == rsp &&
      before.number != SYS_restart_syscall) {
    number_ = before.number;
  } else {
    number_ = number_from_code(rip);
  }
  if (number_ < 0) return;
  place_ = Place::kAfter;
  choose(frame);
}

void InterruptedCall::choose(const ucontext_t& frame) {
  way_ = Way::kInPlace;
  uint64_t rest_ns = 0;
  const timespec* remainder = nullptr;
  switch (number_) {
    case SYS_ppoll:
    case SYS_select:
    case SYS_pselect6:  // the kernel has written the rest of the time into the argument
    case SYS_pause:
    case SYS_rt_sigsuspend:
    case SYS_semop:
    case SYS_msgrcv:
    case SYS_msgsnd:
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_accept:
    case SYS_accept4:
    case SYS_io_getevents:
    case SYS_wait4:
    case SYS_waitid:
    case 449:  // futex_waitv: absolute
      return;
    case SYS_poll:
      limit_ = Limit::kMilliseconds;
      limit_argument_ = 2;
      break;
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
      limit_ = Limit::kMilliseconds;
      limit_argument_ = 3;
      break;
    case 441:  // epoll_pwait2
    case SYS_semtimedop:
      limit_ = Limit::kTimespec;
      limit_argument_ = 3;
      break;
    case SYS_nanosleep:
      limit_ = Limit::kTimespec;
      limit_argument_ = 0;
      remainder = timespec_argument(frame, 1);
      break;
    case SYS_clock_nanosleep:
      if ((argument(frame, 1) & TIMER_ABSTIME) != 0) return;
      limit_ = Limit::kTimespec;
      limit_argument_ = 2;
      remainder = timespec_argument(frame, 3);
      break;
    case SYS_futex:
      if ((argument(frame, 1) & FUTEX_CMD_MASK) != FUTEX_WAIT) return;  // others are absolute
      limit_ = Limit::kTimespec;
      limit_argument_ = 3;
      break;
    case SYS_rt_sigtimedwait:
      limit_ = Limit::kTimespec;
      limit_argument_ = 2;
      break;
    default:  // close, connect: have happened; EINTR is what the program gets natively, too
      way_ = Way::kNone;
      return;
  }
  if (limit_ == Limit::kMilliseconds) {
    const int milliseconds = static_cast<int>(argument(frame, limit_argument_));
    if (milliseconds < 0) return;
    rest_ns = static_cast<uint64_t>(milliseconds) * 1'000'000;
  } else {
    if (remainder == nullptr) remainder = timespec_argument(frame, limit_argument_);
    if (remainder == nullptr) return;  // for ever
    rest_ns = duration_ns(*remainder);
  }
  way_ = Way::kInHandler;
  deadline_ns_ = now_ns() + rest_ns;
}

void InterruptedCall::end(ucontext_t& frame) {
  greg_t* registers = frame.uc_mcontext.gregs;
  registers[REG_RAX] = -EINTR;
  if (number_ == kStoppedAgain)
    registers[REG_RIP] = reinterpret_cast<greg_t>(auxin_wait_again_done);
  if (place_ == Place::kBefore) registers[REG_RIP] += 2;
}

void InterruptedCall::go_on(ucontext_t& frame) {
  greg_t* registers = frame.uc_mcontext.gregs;
  if (number_ == kStoppedAgain) {
    registers[REG_RAX] = kStoppedAgain;
    registers[REG_RIP] = reinterpret_cast<greg_t>(auxin_wait_again_done);
    return;
  }
  if (way_ == Way::kNone) return;
  if (way_ == Way::kInPlace) {
    registers[REG_RAX] = number_;
    registers[REG_RIP] -= 2;
    return;
  }
  long arguments[6];
  for (int i = 0; i < 6; ++i) arguments[i] = static_cast<long>(argument(frame, i));
  raw_syscall(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, reinterpret_cast<long>(&frame.uc_sigmask),
              0, 8);
  long result;
  do {
    const uint64_t now = now_ns();
    const uint64_t rest_ns = deadline_ns_ > now ? deadline_ns_ - now : 0;
    timespec rest{static_cast<time_t>(rest_ns / kSecondNs), static_cast<long>(rest_ns % kSecondNs)};
    // Rounded up, as the kernel does: never earlier than asked for.
    arguments[limit_argument_] = limit_ == Limit::kMilliseconds
                                     ? static_cast<long>((rest_ns + 999'999) / 1'000'000)
                                     : reinterpret_cast<long>(&rest);
    result = auxin_wait_again(number_, arguments);
  } while (result == kStoppedAgain);
  registers[REG_RAX] = result;
}

}  // namespace auxin::checkpoint
