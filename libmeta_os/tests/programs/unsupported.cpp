// SPDX-License-Identifier: Apache-2.0
//
// Calls that work as ever and are told because nobody orders what follows from them.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include <string>

#include "program.h"

using namespace programs;

namespace {

volatile sig_atomic_t caught = 0;

void handler(int number) { caught = number; }
void handler_with_info(int number, siginfo_t*, void*) { caught = -number; }

}  // namespace

PROGRAM(handlers_are_installed) {
  say("before", signal(SIGUSR1, handler) == SIG_DFL);
  raise(SIGUSR1);
  say("caught", caught == SIGUSR1);
  say("again", signal(SIGUSR1, SIG_IGN) == handler);
  say("system v", __sysv_signal(SIGHUP, handler) == SIG_DFL);
  raise(SIGHUP);
  say("caught", caught == SIGHUP);
  struct sigaction action = {}, before = {};
  say_errno("asked only", sigaction(SIGHUP, nullptr, &before));
  say("reset by the call", before.sa_handler == SIG_DFL);
  action.sa_sigaction = handler_with_info;
  action.sa_flags = SA_SIGINFO;
  say_errno("sigaction", sigaction(SIGUSR2, &action, &before));
  raise(SIGUSR2);
  say("caught", caught == -SIGUSR2);
  say_errno("sigaction", sigaction(SIGTERM, &action, nullptr));
  say_errno("no signal", sigaction(0, &action, nullptr));
  say_errno("not to be caught", sigaction(SIGKILL, &action, nullptr));
  say("not to be caught", signal(SIGSTOP, handler) == SIG_ERR && errno == EINVAL);
}

PROGRAM(memory_is_shared) {
  const std::string name = "/auxin-hook-program-" + std::to_string(getpid());
  say("none", shm_open(name.c_str(), O_RDWR, 0600) < 0 && errno == ENOENT);
  const int fd = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  say("made", fd >= 0);
  say_errno("ftruncate", ftruncate(fd, 4096));
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  say("mapped", memory != MAP_FAILED);
  close(fd);
  shm_unlink(name.c_str());
  const int segment = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
  say("private segment", segment >= 0);
  shmctl(segment, IPC_RMID, nullptr);
}

PROGRAM(show_unsupported_uses) {
  signal(SIGUSR1, SIG_IGN);
  signal(SIGTERM, handler);
  signal(SIGUSR1, handler);
  __sysv_signal(SIGHUP, handler);
  struct sigaction action = {};
  action.sa_handler = handler;
  sigaction(SIGRTMIN + 1, &action, nullptr);
  const int fd = shm_open("/auxin-hook-program", O_RDWR | O_CREAT, 0600);
  close(fd);
  shm_unlink("/auxin-hook-program");
  const int segment = shmget(getpid(), 4096, IPC_CREAT | 0600);
  shmctl(segment, IPC_RMID, nullptr);
}
