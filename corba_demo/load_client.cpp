// SPDX-License-Identifier: Apache-2.0
#include "load_client.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "connections.h"
#include "load_thread.h"
#include "teller_address.h"

#include <omniORB4/CORBA.h>

namespace bank {

namespace {

// The end of `go_fd` is the sign; nothing is ever written to it.
void wait_for_end_of(int go_fd) {
  char unused = 0;
  while (read(go_fd, &unused, 1) > 0) {
  }
  close(go_fd);
}

void run(const LoadOptions& options, unsigned index, CallLog& log, int ready_fd, int go_fd) {
  ClientLog& client = log.client(index);
  const CORBA::ORB_var orb = start_load_orb(options, options.threads_per_client > 1);
  count_connects(client.connect_count);
  const Bank::Teller_var teller = find_teller(orb, options.address);

  std::vector<std::unique_ptr<LoadThread>> load_threads;
  for (unsigned i = 0; i < options.threads_per_client; ++i) {
    const unsigned thread = index * options.threads_per_client + i;
    load_threads.push_back(
        std::make_unique<LoadThread>(options, thread, log.thread(thread), teller.in()));
    load_threads.back()->prepare();
  }
  client.before = open_connections();
  const bool told = write(ready_fd, "r", 1) == 1;
  close(ready_fd);
  if (!told) return;
  wait_for_end_of(go_fd);
  if (log.control().begin_ns.load() == 0) return;  // the parent gave up

  std::vector<std::thread> threads;
  for (const auto& load_thread : load_threads) {
    threads.emplace_back([&] {
      prctl(PR_SET_TIMERSLACK, 1);
      load_thread->run(log.control());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& load_thread : load_threads) load_thread->check_opened();
  client.after = open_connections();
  client.finished = true;
  load_threads.clear();
  orb->destroy();
}

}  // namespace

std::string own_account(const LoadOptions& options, unsigned thread) {
  return options.prefix + "-own-" + std::to_string(thread);
}

std::string shared_account(const LoadOptions& options, unsigned index) {
  return options.prefix + "-shared-" + std::to_string(index);
}

CORBA::ORB_ptr start_load_orb(const LoadOptions& options, bool single_connection) {
  std::vector<std::string> arguments = {"bank_load"};
  arguments.insert(arguments.end(), options.orb_arguments.begin(), options.orb_arguments.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  int argc = static_cast<int>(arguments.size());
  const char* plain[][2] = {{"giopMaxMsgSize", "67108864"}, {nullptr, nullptr}};
  const char* single[][2] = {{"giopMaxMsgSize", "67108864"},
                             {"maxGIOPConnectionPerServer", "1"},
                             {"oneCallPerConnection", "0"},
                             {nullptr, nullptr}};
  CORBA::ORB_var orb = CORBA::ORB_init(argc, argv.data(), "", single_connection ? single : plain);
  if (options.call_timeout_ms > 0) omniORB::setClientCallTimeout(options.call_timeout_ms);
  return orb._retn();
}

int run_load_client(const LoadOptions& options, unsigned index, CallLog& log, int ready_fd,
                    int go_fd) {
  ClientLog& client = log.client(index);
  try {
    run(options, index, log, ready_fd, go_fd);
    return 0;
  } catch (const CORBA::SystemException& e) {
    const char* const minor = e.NP_minorString();
    std::snprintf(client.failure, sizeof client.failure, "%s %s", e._name(),
                  minor != nullptr ? minor : "");
  } catch (const CORBA::Exception& e) {
    std::snprintf(client.failure, sizeof client.failure, "%s", e._name());
  } catch (const std::exception& e) {
    std::snprintf(client.failure, sizeof client.failure, "%s", e.what());
  }
  return 1;
}

}  // namespace bank
