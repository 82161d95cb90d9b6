// SPDX-License-Identifier: Apache-2.0
//
// Threads, processes and signals.
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "program.h"

using namespace programs;

namespace {

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void* give_back(void* argument) { return argument; }

void* wait_for_lock(void*) {
  pthread_mutex_lock(&mutex);
  pthread_mutex_unlock(&mutex);
  return nullptr;
}

struct Announced {
  const char* what;
  ~Announced() { puts(what); }
};

void leave_at_depth(int depth) {
  const Announced announced{"frame left"};
  if (depth == 0) pthread_exit(reinterpret_cast<void*>(5));
  leave_at_depth(depth - 1);
}

void* leave_by_exit(void*) {
  leave_at_depth(2);
  return nullptr;
}

void leave_in_once() { pthread_exit(reinterpret_cast<void*>(6)); }

void* leave_through_hook(void*) {
  static pthread_once_t control = PTHREAD_ONCE_INIT;
  const Announced announced{"frame above the hook left"};
  pthread_once(&control, leave_in_once);
  return nullptr;
}

// Runs `child` in a forked child; its status.
template <class Child>
int in_child(Child child) {
  fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    child();
    _exit(99);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

const char* const kShell = "/bin/sh";

}  // namespace

PROGRAM(threads_end_and_are_joined) {
  say("value", reinterpret_cast<long>(Thread(give_back, reinterpret_cast<void*>(3)).join()));
  say("pthread_exit", reinterpret_cast<long>(Thread(leave_by_exit, nullptr).join()));
  say("through a hook", reinterpret_cast<long>(Thread(leave_through_hook, nullptr).join()));
  pthread_mutex_lock(&mutex);
  Thread waiting(wait_for_lock, nullptr);
  say_error("tryjoin", pthread_tryjoin_np(waiting.id(), nullptr));
  timespec soon = in_ms(CLOCK_REALTIME, 5);
  say_error("timedjoin", pthread_timedjoin_np(waiting.id(), nullptr, &soon));
  soon = in_ms(CLOCK_MONOTONIC, 5);
  say_error("clockjoin", pthread_clockjoin_np(waiting.id(), nullptr, CLOCK_MONOTONIC, &soon));
  pthread_mutex_unlock(&mutex);
  say_error("timedjoin for ever", pthread_timedjoin_np(waiting.id(), nullptr, nullptr));
  say_error("join oneself", pthread_join(pthread_self(), nullptr));
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  sched_param impossible{};
  impossible.sched_priority = 99;
  pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
  pthread_t none;
  say("create fails or not, alike", (pthread_attr_setaffinity_np(&attributes, 0, nullptr),
                                     pthread_attr_setstacksize(&attributes, 1ul << 60),
                                     pthread_create(&none, &attributes, give_back, nullptr)) != 0);
}

PROGRAM(forked_child_works) {
  pthread_mutex_lock(&mutex);
  say("child", in_child([] {
        pthread_mutex_unlock(&mutex);
        Thread other(wait_for_lock, nullptr);
        other.join();
        puts("a thread in the child");
        exit(4);
      }));
  pthread_mutex_unlock(&mutex);
  const pid_t pid = _Fork();
  if (pid == 0) _Exit(getpid() == syscall(SYS_getpid) ? 8 : 9);
  int status = 0;
  waitpid(pid, &status, 0);
  say("_Fork", WEXITSTATUS(status));
  say("quick_exit", in_child([] { quick_exit(11); }));
  say("_exit", in_child([] { _exit(12); }));
}

PROGRAM(vfork_child_does_not_disturb) {
  const pid_t pid = vfork();
  if (pid == 0) _exit(21);
  int status = 0;
  waitpid(pid, &status, 0);
  say("status", WEXITSTATUS(status));
  say_error("lock", pthread_mutex_lock(&mutex));
  say_error("unlock", pthread_mutex_unlock(&mutex));
}

PROGRAM(programs_are_started) {
  setenv("AUXIN_WORD", "kept", 1);
  char shell[] = "sh", minus_c[] = "-c", script[] = "echo $AUXIN_WORD $0; exit 3", zero[] = "zero";
  char* const arguments[] = {shell, minus_c, script, zero, nullptr};
  char word[] = "AUXIN_WORD=new";
  char* preload = getenv("LD_PRELOAD");
  std::string keep = std::string("LD_PRELOAD=") + (preload == nullptr ? "" : preload);
  char* const environment[] = {word, keep.data(), nullptr};
  say("execve", in_child([&] { execve(kShell, arguments, environment); }));
  say("execv", in_child([&] { execv(kShell, arguments); }));
  say("execvp", in_child([&] { execvp("sh", arguments); }));
  say("execvpe", in_child([&] { execvpe("sh", arguments, environment); }));
  say("execl", in_child([&] { execl(kShell, "sh", "-c", script, "one", nullptr); }));
  say("execlp", in_child([&] { execlp("sh", "sh", "-c", script, "two", "unused", nullptr); }));
  say("execle",
      in_child([&] { execle(kShell, "sh", "-c", script, "three", nullptr, environment); }));
  say("execveat", in_child([&] { execveat(AT_FDCWD, kShell, arguments, environment, 0); }));
  say("fexecve", in_child([&] { fexecve(open(kShell, O_RDONLY), arguments, environment); }));
  say_errno("no such program", execl("/nonexistent", "x", nullptr));
  pid_t pid = 0;
  int status = 0;
  say_error("posix_spawn", posix_spawn(&pid, kShell, nullptr, nullptr, arguments, environment));
  waitpid(pid, &status, 0);
  say("status", WEXITSTATUS(status));
  say_error("posix_spawnp", posix_spawnp(&pid, "sh", nullptr, nullptr, arguments, environment));
  waitpid(pid, &status, 0);
  say("status", WEXITSTATUS(status));
  fflush(stdout);
  say("system", WEXITSTATUS(system("echo $AUXIN_WORD; exit 6")));
  FILE* const output = popen("echo through popen", "r");
  char line[64] = {};
  say("popen", fgets(line, sizeof(line), output) != nullptr);
  fputs(line, stdout);
  say("pclose", pclose(output));
}

PROGRAM(signals_are_sent_and_awaited) {
  sigset_t set, old_set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGUSR2);
  say_error("pthread_sigmask", pthread_sigmask(SIG_BLOCK, &set, &old_set));
  int number = 0;
  say_errno("kill", kill(getpid(), SIGUSR1));
  say_error("sigwait", sigwait(&set, &number));
  say("number", number);
  say_errno("raise", raise(SIGUSR2));
  siginfo_t info{};
  say_errno("sigwaitinfo", sigwaitinfo(&set, &info));
  say_error("pthread_kill", pthread_kill(pthread_self(), SIGUSR1));
  const timespec soon{1, 0};
  say_errno("sigtimedwait", sigtimedwait(&set, &info, &soon));
  const timespec now{};
  say_errno("sigtimedwait in vain", sigtimedwait(&set, &info, &now));
  say_errno("tgkill", tgkill(getpid(), gettid(), SIGUSR1));
  say_errno("sigwaitinfo", sigwaitinfo(&set, &info));
  sigval value;
  value.sival_int = 31;
  say_errno("sigqueue", sigqueue(getpid(), SIGUSR1, value));
  sigwaitinfo(&set, &info);
  say("value", info.si_value.sival_int);
  say_error("pthread_sigqueue", pthread_sigqueue(pthread_self(), SIGUSR2, value));
  sigwaitinfo(&set, &info);
  say("value", info.si_value.sival_int);
  say("killpg", in_child([] {
        setpgid(0, 0);
        killpg(0, SIGKILL);
      }));
  signal(SIGUSR1, [](int) {});
  raise(SIGUSR1);
  sigset_t none;
  sigemptyset(&none);
  say_errno("sigsuspend", sigsuspend(&none));
  say_errno("sigprocmask", sigprocmask(SIG_SETMASK, &old_set, nullptr));
}
