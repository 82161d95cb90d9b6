// SPDX-License-Identifier: Apache-2.0
//
// The load generator: many clients call one bank, and what they were told is checked against what
// the bank did.
//
//   parent:   fork clients | fund accounts | go | watch | wait | check statements | report
//   clients:  connect, open accounts, ready ...  | calls .... | end
//
// Clients are processes, forked before the parent has an ORB or a thread, so that each has a
// connection and an ORB of its own; they report through shared memory (call_log.h).
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "answer_watchdog.h"
#include "call_log.h"
#include "connections.h"
#include "ledger_check.h"
#include "load_client.h"
#include "load_options.h"
#include "load_report.h"
#include "teller_address.h"

namespace bank {
namespace {

constexpr uint64_t kMostCallsPerThreadAndSecond = 60'000;
constexpr uint64_t kStartDelay_ns = 20'000'000;
constexpr uint64_t kProgressInterval_ns = 1'000'000'000;

uint64_t record_capacity(const LoadOptions& options) {
  uint64_t capacity = kMostCallsPerThread;
  if (options.call_count > 0) {
    capacity = std::min(capacity, options.call_count / options.thread_count() + 1);
  }
  if (options.duration_s > 0) {
    const auto most = static_cast<uint64_t>(options.duration_s * kMostCallsPerThreadAndSecond);
    capacity = std::min(capacity, most + 1000);
  }
  return capacity;
}

std::string describe(const CORBA::Exception& e) {
  const auto* const system = CORBA::SystemException::_downcast(&e);
  const char* const minor = system != nullptr ? system->NP_minorString() : nullptr;
  return std::string(e._name()) + (minor != nullptr ? std::string(" ") + minor : "");
}

// The client processes, from fork to wait.
class Clients {
 public:
  Clients(const LoadOptions& options, CallLog& log) : options_(options), log_(log) {
    int ready[2], go[2];
    if (pipe(ready) != 0 || pipe(go) != 0) {
      throw std::system_error(errno, std::generic_category(), "pipe");
    }
    const pid_t parent = getpid();
    for (unsigned i = 0; i < options.client_count; ++i) {
      const pid_t pid = fork();
      if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
      if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
        close(ready[0]);
        close(go[1]);
        _exit(run_load_client(options, i, log, ready[1], go[0]));
      }
      pids_.push_back(pid);
    }
    close(ready[1]);
    close(go[0]);
    ready_fd_ = ready[0];
    go_fd_ = go[1];
  }
  ~Clients() {
    let_go();
    for (const pid_t pid : pids_) kill(pid, SIGKILL);
    for (const pid_t pid : pids_) waitpid(pid, nullptr, 0);
    if (ready_fd_ >= 0) close(ready_fd_);
  }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  // Whether all are ready; returns when each is or has ended, or nothing happens for too long.
  bool wait_until_ready() {
    unsigned count = 0;
    while (true) {
      pollfd ready{ready_fd_, POLLIN, 0};
      const int events = poll(&ready, 1, static_cast<int>(options_.hang_s * 1e3));
      if (events < 0 && errno == EINTR) continue;
      char buffer[256];
      const ssize_t size = events > 0 ? read(ready_fd_, buffer, sizeof buffer) : 0;
      if (size <= 0) return count == options_.client_count;
      count += static_cast<unsigned>(size);
    }
  }

  void let_go() {
    if (go_fd_ >= 0) close(go_fd_);
    go_fd_ = -1;
  }

  // Returns when all have ended, were told to end by SIGINT or SIGTERM, or hang.
  void watch(const sigset_t& signals, std::vector<std::string>& problems) {
    uint64_t last_count = 0, last_change_ns = monotonic_ns(), last_line_ns = last_change_ns;
    uint64_t last_line_count = 0;
    while (true) {
      reap(problems);
      if (pids_.empty()) return;
      const timespec interval{0, 200'000'000};
      const int signal_number = sigtimedwait(&signals, nullptr, &interval);
      if (signal_number == SIGINT || signal_number == SIGTERM) log_.control().stop = true;
      const uint64_t now_ns = monotonic_ns();
      uint64_t count = 0, errors = 0;
      for (unsigned i = 0; i < log_.thread_count(); ++i) {
        count += log_.thread(i).call_count.load(std::memory_order_relaxed);
        errors += log_.thread(i).error_count.load(std::memory_order_relaxed);
      }
      if (count != last_count) last_change_ns = now_ns;
      last_count = count;
      if (static_cast<double>(now_ns - last_change_ns) > options_.hang_s * 1e9) {
        problems.push_back("no call began for " + std::to_string(options_.hang_s) + " s");
        for (const pid_t pid : pids_) kill(pid, SIGKILL);
        last_change_ns = now_ns;
      }
      if (options_.progress && now_ns - last_line_ns >= kProgressInterval_ns) {
        const double seconds = static_cast<double>(now_ns - last_line_ns) / 1e9;
        std::fprintf(stderr, "%7.1f s  %9.0f calls/s  %llu calls  %llu errors\n",
                     static_cast<double>(now_ns - log_.control().begin_ns.load()) / 1e9,
                     static_cast<double>(count - last_line_count) / seconds,
                     static_cast<unsigned long long>(count),
                     static_cast<unsigned long long>(errors));
        last_line_ns = now_ns;
        last_line_count = count;
      }
    }
  }

 private:
  void reap(std::vector<std::string>& problems) {
    for (size_t i = 0; i < pids_.size();) {
      int status = 0;
      if (waitpid(pids_[i], &status, WNOHANG) != pids_[i]) {
        ++i;
        continue;
      }
      if (WIFSIGNALED(status)) {
        problems.push_back("a client was ended by signal " + std::to_string(WTERMSIG(status)));
      }
      pids_.erase(pids_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  const LoadOptions& options_;
  CallLog& log_;
  std::vector<pid_t> pids_;
  int ready_fd_ = -1;
  int go_fd_ = -1;
};

// What each client says of itself, and of its connections.
void check_clients(const LoadOptions& options, CallLog& log, std::vector<std::string>& problems) {
  for (unsigned i = 0; i < log.client_count(); ++i) {
    const ClientLog& client = log.client(i);
    const std::string who = "client " + std::to_string(i) + " ";
    if (!client.finished) {
      problems.push_back(who + "did not finish: " + client.failure);
    } else if (options.one_connection &&
               (client.connect_count != 1 || !same_connections(client.before, client.after))) {
      problems.push_back(who + "connected " + std::to_string(client.connect_count) +
                         " times: before " + client.before.text[0] + ", after " +
                         client.after.text[0]);
    }
  }
}

std::vector<uint64_t> read_kill_times(const std::string& path) {
  std::vector<uint64_t> times_ns;
  if (path.empty()) return times_ns;
  std::ifstream file(path);
  for (uint64_t time_ns = 0; file >> time_ns;) times_ns.push_back(time_ns);
  if (!file.eof()) throw std::runtime_error("cannot read kill times from " + path);
  return times_ns;
}

void write_report(const LoadOptions& options, CallLog& log, const LoadReport& report) {
  const std::string text = text_of(options, log, report);
  if (options.json_path == "-") {
    std::cerr << text;
    std::cout << json_of(options, log, report);
    return;
  }
  std::cout << text;
  if (options.json_path.empty()) return;
  std::ofstream file(options.json_path);
  file << json_of(options, log, report);
  file.close();
  if (!file) throw std::runtime_error("cannot write " + options.json_path);
}

int run(const LoadOptions& options) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal_number : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&signals, signal_number);
  sigprocmask(SIG_BLOCK, &signals, nullptr);

  CallLog log(options.client_count, options.thread_count(), record_capacity(options));
  LoadReport report;
  Clients clients(options, log);
  const CORBA::ORB_var orb = start_load_orb(options, false);
  expect_answer_within(options.hang_s);
  const Bank::Teller_var teller = find_teller(orb, options.address);
  fund_shared_accounts(options, teller);
  expect_answer_within(0);
  uint64_t accounts_before = 0;
  if (clients.wait_until_ready()) {
    CORBA::ULong account_count = 0;
    expect_answer_within(options.hang_s);
    teller->audit(account_count);
    expect_answer_within(0);
    accounts_before = account_count;
    const uint64_t begin_ns = monotonic_ns() + kStartDelay_ns;
    log.control().begin_ns = begin_ns;
    if (options.duration_s > 0) {
      log.control().end_ns = begin_ns + static_cast<uint64_t>(options.duration_s * 1e9);
    }
  } else {
    report.problems.push_back("not all clients were ready");
  }
  clients.let_go();
  clients.watch(signals, report.problems);
  check_clients(options, log, report.problems);
  summarise(options, log, read_kill_times(options.kill_times_path), report);
  try {
    report.ledger = check_ledger(options, log, teller, accounts_before);
    report.verified = true;
  } catch (const CORBA::Exception& e) {
    report.not_verified_because = describe(e);
  }
  write_report(options, log, report);
  orb->destroy();
  return report.good() ? 0 : 1;
}

}  // namespace
}  // namespace bank

int main(int argc, char** argv) {
  try {
    return bank::run(bank::parse_load_options(argc, argv));
  } catch (const std::invalid_argument& e) {
    std::cerr << "bank_load: " << e.what() << '\n' << bank::kLoadUsage;
    return 2;
  } catch (const CORBA::Exception& e) {
    std::cerr << "bank_load: " << bank::describe(e) << '\n';
  } catch (const std::exception& e) {
    std::cerr << "bank_load: " << e.what() << '\n';
  }
  return 1;
}
