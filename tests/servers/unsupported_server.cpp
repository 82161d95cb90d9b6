// SPDX-License-Identifier: Apache-2.0
//
// A server of which each switch makes it do one thing that is not supported. Without a switch it
// does what every server does: a lock, a handler for the signal that ends it, a file that is read.
//
//   --dlopen LIBRARY        loads it, for what its code gives away
//   --handlers              handles SIGUSR1 and SIGHUP
//   --shared-memory NAME    opens it, and closes it again
//   --write PATH            appends a line to the file, and closes it again
//   --ior PATH              where its reference goes (known_server.h)
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iostream>
#include <mutex>
#include <string>

#include "known/known_server.h"

namespace {

volatile sig_atomic_t signals_seen = 0;

void count_signal(int) { signals_seen = signals_seen + 1; }
void end_at_once(int) { _exit(0); }

class Plain : public known::Servant {
 public:
  Plain() : Servant(known::Mix{1, 0, 1}) {}
  CORBA::LongLong put(CORBA::Long token) override {
    std::lock_guard<std::mutex> hold(lock_);
    return sum_ += token;
  }
  CORBA::LongLong look(CORBA::Long) override {
    std::lock_guard<std::mutex> hold(lock_);
    return sum_;
  }
  known::Dump* state() override {
    std::lock_guard<std::mutex> hold(lock_);
    return known::dump_of({sum_});
  }

 private:
  std::mutex lock_;
  CORBA::LongLong sum_ = 0;
};

bool do_unsupported(const std::string& name, const char* value) {
  if (name == "--dlopen") return dlopen(value, RTLD_LAZY | RTLD_LOCAL) != nullptr;
  if (name == "--shared-memory") {
    const int memory = shm_open(value, O_RDWR | O_CREAT, 0600);
    return memory >= 0 && close(memory) == 0;
  }
  if (name == "--write") {
    std::ofstream file(value, std::ios::app);
    file << "a line\n" << std::flush;
    return file.good();
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  struct sigaction ending = {};
  ending.sa_handler = end_at_once;
  sigaction(SIGTERM, &ending, nullptr);
  signal(SIGPIPE, SIG_IGN);
  std::ifstream commands("/proc/self/cmdline");
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--handlers") == 0) {
      struct sigaction counting = {};
      counting.sa_handler = count_signal;
      sigaction(SIGUSR1, &counting, nullptr);
      signal(SIGHUP, count_signal);
    } else if (i + 1 < argc && !do_unsupported(argv[i], argv[i + 1])) {
      std::cerr << argv[0] << ": " << argv[i] << ' ' << argv[i + 1] << " fails\n";
      return 1;
    }
  }
  Plain servant;
  return known::serve(argc, argv, servant);
}
