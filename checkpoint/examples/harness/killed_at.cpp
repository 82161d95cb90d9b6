// SPDX-License-Identifier: Apache-2.0
//
// Runs a program and kills it at one of its steps:
//
//     killed_at STEP PROGRAM [ARGUMENT...]
//
// A step is a system call: whatever a process does that others can see, now or after its death, it
// does by one (these programs share no memory). So the program that dies before its first call, its
// second one, …, has died in every way that makes a difference, but for the middle of a call. The
// steps of all its threads count, those of its children do not.
//
// Ends as the program does: killed by the same signal, or with the same status. With STEP 0 it
// kills nothing. SIGTERM is passed on; SIGUSR1 kills the program at once. If this one is killed,
// the program is, too, a little later.
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

volatile pid_t child = -1;

void pass_on(int number) {
  if (child > 0) kill(child, number == SIGUSR1 ? SIGKILL : number);
}

[[noreturn]] void fail(const char* what) {
  perror(what);
  if (child > 0) kill(child, SIGKILL);
  _exit(125);
}

// Starts the program; it has done nothing when this returns.
void start(char** command) {
  int gate[2];
  if (pipe(gate) != 0) fail("pipe");
  child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    close(gate[1]);
    char byte = 0;
    if (read(gate[0], &byte, 1) != 1) _exit(125);
    close(gate[0]);
    execv(command[0], command);
    perror(command[0]);
    _exit(125);
  }
  close(gate[0]);
  const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
                       PTRACE_O_TRACEEXEC;
  if (ptrace(PTRACE_SEIZE, child, nullptr, options) != 0) fail("ptrace");
  if (write(gate[1], "g", 1) != 1) fail("pipe");
  close(gate[1]);
}

bool enters_a_call(pid_t thread) {
  __ptrace_syscall_info info{};
  return ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info) > 0 &&
         info.op == PTRACE_SYSCALL_INFO_ENTRY;
}

[[noreturn]] void end_like_it(int status) {
  if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
  signal(WTERMSIG(status), SIG_DFL);
  raise(WTERMSIG(status));
  _exit(128 + WTERMSIG(status));
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) {
    fprintf(stderr, "usage: killed_at STEP PROGRAM [ARGUMENT...]\n");
    return 125;
  }
  const uint64_t last = strtoull(arguments[1], nullptr, 10);
  uint64_t steps = 0;
  bool started = false;
  struct sigaction action {};
  action.sa_handler = pass_on;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGUSR1, &action, nullptr);
  start(arguments + 2);
  for (;;) {
    int status = 0;
    const pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0 && errno == EINTR) continue;
    if (thread < 0) fail("waitpid");
    if (!WIFSTOPPED(status)) {
      if (thread == child) end_like_it(status);
      continue;
    }
    const int number = WSTOPSIG(status), event = status >> 16;
    long signal_to_deliver = 0;
    if (event == PTRACE_EVENT_EXEC) {
      started = true;
    } else if (number == (SIGTRAP | 0x80)) {
      if (started && enters_a_call(thread) && ++steps == last) kill(child, SIGKILL);
    } else if (event == 0) {
      signal_to_deliver = number;
    }
    ptrace(PTRACE_SYSCALL, thread, nullptr, signal_to_deliver);  // it may have died: then told next
  }
}
