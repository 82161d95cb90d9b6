// SPDX-License-Identifier: Apache-2.0
//
// Starts a program, and starts it again when it dies or hangs, until it ends well:
//
//     watchdog [--hang MS] [--restarts N] [--pause MS] PROGRAM [ARGUMENT...]
//
// It hangs when no heartbeat has come for a time (--hang, 5000 ms). Between two starts there is a
// pause (--pause, 10 ms), which doubles each time, up to a second. After N restarts (8) in a row
// without a new checkpoint, it gives up: the program dies of itself. Status 0: the program ended
// well; 1: given up; 2: wrong arguments.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "heartbeat.h"

namespace {

constexpr int kLongestPauseMs = 1000;

struct Options {
  int hang_ms = 5000, restarts = 8, pause_ms = 10;
  char** command = nullptr;
};

bool parse(char** arguments, Options* options) {
  for (++arguments; *arguments != nullptr && strncmp(*arguments, "--", 2) == 0; arguments += 2) {
    int* const value = strcmp(*arguments, "--hang") == 0       ? &options->hang_ms
                       : strcmp(*arguments, "--restarts") == 0 ? &options->restarts
                       : strcmp(*arguments, "--pause") == 0    ? &options->pause_ms
                                                               : nullptr;
    if (value == nullptr || arguments[1] == nullptr) return false;
    *value = atoi(arguments[1]);
  }
  options->command = arguments;
  return *arguments != nullptr && options->hang_ms > 0 && options->pause_ms > 0;
}

// The program, and the end of the pipe on which its heart beats.
struct Started {
  pid_t pid;
  int heartbeats;
};

Started start(char** command) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    perror("watchdog: pipe");
    exit(1);
  }
  const pid_t watchdog = getpid(), pid = fork();
  if (pid < 0) {
    perror("watchdog: fork");
    exit(1);
  }
  if (pid == 0) {
    // A program without a watchdog would be in the next one's way.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != watchdog) _exit(1);
    // A heart that beats faster than the watchdog looks does not stop.
    const int own = dup(ends[1]);
    fcntl(own, F_SETFL, O_NONBLOCK);
    setenv(FT_HEARTBEAT_VARIABLE, std::to_string(own).c_str(), 1);
    printf("started %d\n", getpid());  // by the child: before all that the program prints
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
  }
  close(ends[1]);
  return {pid, ends[0]};
}

// Until the program ends, or is killed for hanging; its status. `*failures` is 0 again after each
// checkpoint.
int attend(const Started& program, const Options& options, int* failures) {
  for (;;) {
    pollfd heart{program.heartbeats, POLLIN, 0};
    const int ready = poll(&heart, 1, options.hang_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      printf("hangs %d\n", program.pid);
      kill(program.pid, SIGKILL);
    }
    char beats[4096];
    const ssize_t got = ready > 0 ? read(program.heartbeats, beats, sizeof(beats)) : 0;
    if (got > 0) {
      if (memchr(beats, FT_PROGRESS, static_cast<size_t>(got)) != nullptr) *failures = 0;
      continue;
    }
    break;
  }
  int status = 0;
  waitpid(program.pid, &status, 0);
  close(program.heartbeats);
  return status;
}

}  // namespace

int main(int, char** arguments) {
  Options options;
  if (!parse(arguments, &options)) {
    fprintf(stderr,
            "usage: watchdog [--hang MS] [--restarts N] [--pause MS] PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  setvbuf(stdout, nullptr, _IOLBF, 0);
  for (int failures = 0;;) {
    const int status = attend(start(options.command), options, &failures);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    printf(WIFSIGNALED(status) ? "died of signal %d\n" : "ended with status %d\n",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    if (++failures > options.restarts) {
      printf("given up after %d restarts\n", options.restarts);
      return 1;
    }
    const int pause_ms = std::min(options.pause_ms << std::min(failures - 1, 10), kLongestPauseMs);
    const timespec pause{pause_ms / 1000, (pause_ms % 1000) * 1'000'000};
    nanosleep(&pause, nullptr);
  }
}
