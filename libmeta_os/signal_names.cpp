// SPDX-License-Identifier: Apache-2.0
#include "libmeta_os/signal_names.h"

#include <signal.h>

namespace auxin::os {
namespace {

constexpr int kFirstOfLibc = 32, kLastOfLibc = 33;  // libc's own, hidden from programs

struct Name {
  int number;
  const char* text;
};
constexpr Name kNames[] = {
    {SIGHUP, "SIGHUP"},       {SIGUSR1, "SIGUSR1"},   {SIGUSR2, "SIGUSR2"},
    {SIGALRM, "SIGALRM"},     {SIGCHLD, "SIGCHLD"},   {SIGCONT, "SIGCONT"},
    {SIGTSTP, "SIGTSTP"},     {SIGTTIN, "SIGTTIN"},   {SIGTTOU, "SIGTTOU"},
    {SIGURG, "SIGURG"},       {SIGXCPU, "SIGXCPU"},   {SIGXFSZ, "SIGXFSZ"},
    {SIGVTALRM, "SIGVTALRM"}, {SIGPROF, "SIGPROF"},   {SIGWINCH, "SIGWINCH"},
    {SIGIO, "SIGIO"},         {SIGPWR, "SIGPWR"},     {SIGSTKFLT, "SIGSTKFLT"}};

constexpr const char* kRealtimeNames[] = {
    "SIGRTMIN",    "SIGRTMIN+1",  "SIGRTMIN+2",  "SIGRTMIN+3",  "SIGRTMIN+4",  "SIGRTMIN+5",
    "SIGRTMIN+6",  "SIGRTMIN+7",  "SIGRTMIN+8",  "SIGRTMIN+9",  "SIGRTMIN+10", "SIGRTMIN+11",
    "SIGRTMIN+12", "SIGRTMIN+13", "SIGRTMIN+14", "SIGRTMIN+15", "SIGRTMIN+16", "SIGRTMIN+17",
    "SIGRTMIN+18", "SIGRTMIN+19", "SIGRTMIN+20", "SIGRTMIN+21", "SIGRTMIN+22", "SIGRTMIN+23",
    "SIGRTMIN+24", "SIGRTMIN+25", "SIGRTMIN+26", "SIGRTMIN+27", "SIGRTMIN+28", "SIGRTMIN+29",
    "SIGRTMIN+30"};
constexpr int kFirstRealtime = 34;

}  // namespace

bool handler_matters(int number, const void* handler) {
  if (handler == reinterpret_cast<const void*>(SIG_DFL) ||
      handler == reinterpret_cast<const void*>(SIG_IGN)) {
    return false;
  }
  if (number < 1 || number > 64 || (number >= kFirstOfLibc && number <= kLastOfLibc)) return false;
  switch (number) {
    case SIGTERM:
    case SIGINT:
    case SIGQUIT:
    case SIGPIPE:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGABRT:
    case SIGTRAP:
    case SIGSYS:
    case SIGKILL:
    case SIGSTOP:
      return false;
    default:
      return true;
  }
}

const char* signal_name(int number) {
  if (number >= kFirstRealtime && number <= 64) return kRealtimeNames[number - kFirstRealtime];
  for (const Name& name : kNames) {
    if (name.number == number) return name.text;
  }
  return "a signal";
}

}  // namespace auxin::os
