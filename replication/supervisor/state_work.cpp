// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/state_work.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>

#include "stmemu/check.h"

namespace auxin::supervisor {
namespace {

constexpr char kGood[] = "+";
constexpr size_t kMostText = 2048;  // a pipe takes it at once

}  // namespace

std::string StateWork::begin(const Work& work) {
  CHECK(!running(), "one work at a time");
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return strerror(errno);
  const pid_t supervisor = getpid();
  const pid_t child = fork();
  if (child < 0) {
    const int error = errno;
    close(ends[0]);
    close(ends[1]);
    return strerror(error);
  }
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor) _exit(1);
    const std::string fault = work();
    const std::string answer = fault.empty() ? kGood : fault;
    const ssize_t written = write(ends[1], answer.data(), std::min(answer.size(), kMostText));
    _exit(written > 0 ? 0 : 1);
  }
  close(ends[1]);
  answer_.reset(ends[0]);
  text_.clear();
  return {};
}

std::optional<std::string> StateWork::ended() {
  if (!running()) return {};
  char buffer[kMostText];
  for (;;) {
    const ssize_t size = read(answer_.get(), buffer, sizeof(buffer));
    if (size > 0) {
      text_.append(buffer, static_cast<size_t>(size));
    } else if (size < 0 && errno == EAGAIN) {
      return {};
    } else if (size == 0 || errno != EINTR) {
      break;
    }
  }
  answer_.reset();
  if (text_ == kGood) return "";
  return text_.empty() ? "the process that called the objects died" : text_;
}

}  // namespace auxin::supervisor
