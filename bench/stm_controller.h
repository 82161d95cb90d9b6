// SPDX-License-Identifier: Apache-2.0
//
// The controller of an isolated memory in a process of its own, as `auxin stm serve` is one, for as
// long as this object lives.
//
// Thread safety: none. Make it before the process has other threads: it forks.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "bench/stm_workload.h"
#include "stmemu/isolated/controller.h"

namespace auxin::bench {

class ControllerProcess {
 public:
  // Of the memory at `path`, which nobody has attached. Clients can come when this returns. `spin`:
  // it never sleeps.
  ControllerProcess(const std::string& path, bool spin) {
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0) fail("no pipe: %s", strerror(errno));
    child_ = fork();
    if (child_ < 0) fail("no process for the controller: %s", strerror(errno));
    if (child_ == 0) serve(path, spin, ready[1]);
    close(ready[1]);
    char said;
    const bool serves = read(ready[0], &said, 1) == 1;
    close(ready[0]);
    if (!serves) fail("the controller does not serve");
  }
  ControllerProcess(const ControllerProcess&) = delete;
  ControllerProcess& operator=(const ControllerProcess&) = delete;
  ~ControllerProcess() { stop(); }

  // Waits for its end, however often it is called. Whether it ended well.
  bool stop() {
    if (child_ > 0) {
      kill(child_, SIGTERM);
      int status = -1;
      ended_well_ = waitpid(child_, &status, 0) == child_ && status == 0;
      child_ = -1;
    }
    return ended_well_;
  }

 private:
  [[noreturn]] static void serve(const std::string& path, bool spin, int ready) {
    static stm::Controller* serving = nullptr;
    stm::ControllerOptions options;
    options.spin = spin;
    auto controller = stm::Controller::make(path, options);
    if (!controller) {
      fprintf(stderr, "controller: %s\n", controller.error().c_str());
      _exit(1);
    }
    serving = controller.value().get();
    signal(SIGTERM, [](int) { serving->stop(); });
    prctl(PR_SET_PDEATHSIG, SIGTERM);  // whoever measures may be killed
    if (write(ready, "!", 1) != 1) _exit(1);
    serving->run();
    controller.value().reset();
    _exit(0);
  }

  pid_t child_ = -1;
  bool ended_well_ = false;
};

}  // namespace auxin::bench
