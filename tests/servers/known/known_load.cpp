// SPDX-License-Identifier: Apache-2.0
//
// The load for any server of this folder: threads call put, take and look in the shares that the
// server asks for, each over a connection of its own while it calls.
//
//   known_load --ior FILE [--threads N] [--requests N] [--seed S]
//
// What each thread calls, and with which tokens, follows from the seed and the numbers of threads
// and requests alone. At the end it reads the state once and prints its size and digest. Exit
// status: 0 all calls were answered, 1 not so, 2 wrong usage.
#include <stdlib.h>

#include <atomic>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "known.hh"

namespace {

constexpr char kUsage[] =
    "usage: known_load --ior FILE [--threads N] [--requests N] [--seed S] [-ORB...]\n"
    "  --ior FILE     holds the server's object reference\n"
    "  --threads N    callers, each with a connection (4)\n"
    "  --requests N   calls of all threads together (400)\n"
    "  --seed S       chooses operations and tokens (1)\n";
constexpr unsigned long kMostThreads = 256;

struct Options {
  std::string ior_path;
  unsigned long threads = 4, requests = 400, seed = 1;
};

bool take_number(const std::string& text, unsigned long* number) {
  char* end = nullptr;
  *number = strtoul(text.c_str(), &end, 10);
  return !text.empty() && *end == '\0' && text[0] != '-';
}

// What is left after ORB_init took its own.
bool parse(int argc, char** argv, Options* options) {
  const std::map<std::string, unsigned long*> numbers = {{"--threads", &options->threads},
                                                         {"--requests", &options->requests},
                                                         {"--seed", &options->seed}};
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) return false;
    const auto number = numbers.find(argv[i]);
    if (number != numbers.end()) {
      if (!take_number(argv[i + 1], number->second)) return false;
    } else if (std::string(argv[i]) == "--ior") {
      options->ior_path = argv[i + 1];
    } else {
      return false;
    }
  }
  return !options->ior_path.empty() && options->threads >= 1 && options->threads <= kMostThreads;
}

// One thread's calls.
class Caller {
 public:
  Caller(known::Server_ptr server, const known::Mix& mix, const Options& options,
         unsigned long index)
      : server_(known::Server::_duplicate(server)),
        mix_(mix),
        calls_(options.requests / options.threads +
               (index < options.requests % options.threads ? 1 : 0)),
        random_(options.seed * (kMostThreads + 1) + index) {}

  void run() {
    for (unsigned long i = 0; i < calls_; ++i) call();
  }

 private:
  void call() {
    const unsigned share = static_cast<unsigned>(random_()) % (mix_.put + mix_.take + mix_.look);
    const auto token = static_cast<CORBA::Long>(random_() & 0x7fffffff);
    if (share < mix_.put) {
      server_->put(token);
    } else if (share < unsigned{mix_.put} + mix_.take) {
      server_->take(token);
    } else {
      server_->look(token);
    }
  }

  const known::Server_var server_;
  const known::Mix mix_;
  const unsigned long calls_;
  std::mt19937 random_;
};

uint64_t digest_of(const known::Dump& dump) {
  uint64_t digest = 14695981039346656037ull;
  for (CORBA::ULong i = 0; i < dump.length(); ++i) digest = (digest ^ dump[i]) * 1099511628211ull;
  return digest;
}

int run(CORBA::ORB_ptr orb, const Options& options) {
  std::string ior;
  if (!(std::ifstream(options.ior_path) >> ior)) {
    std::cerr << "known_load: " << options.ior_path << " holds no object reference\n";
    return 1;
  }
  const CORBA::Object_var object = orb->string_to_object(ior.c_str());
  const known::Server_var server = known::Server::_narrow(object);
  if (CORBA::is_nil(server)) {
    std::cerr << "known_load: " << options.ior_path << " refers to no known::Server\n";
    return 1;
  }
  const known::Mix mix = server->load_mix();
  std::vector<Caller> callers;
  for (unsigned long i = 0; i < options.threads; ++i) callers.emplace_back(server, mix, options, i);
  std::mutex failure_lock;
  std::string failure;
  std::vector<std::thread> threads;
  for (Caller& caller : callers) {
    threads.emplace_back([&] {
      try {
        caller.run();
      } catch (const CORBA::Exception& exception) {
        std::lock_guard<std::mutex> hold(failure_lock);
        failure = exception._name();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (!failure.empty()) {
    std::cerr << "known_load: " << failure << '\n';
    return 1;
  }
  const known::Dump_var state = server->state();
  std::cout << options.requests << " calls answered; state: " << state->length()
            << " bytes, digest " << std::hex << digest_of(state.in()) << std::endl;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  // A caller finds a connection of its own, and none waits for ever.
  const std::string most_connections = std::to_string(kMostThreads);
  const char* orb_options[][2] = {{"maxGIOPConnectionPerServer", most_connections.c_str()},
                                  {"clientCallTimeOutPeriod", "30000"},
                                  {nullptr, nullptr}};
  try {
    const CORBA::ORB_var orb = CORBA::ORB_init(argc, argv, "omniORB4", orb_options);
    Options options;
    if (!parse(argc, argv, &options)) {
      std::cerr << kUsage;
      return 2;
    }
    const int status = run(orb, options);
    orb->destroy();
    return status;
  } catch (const CORBA::Exception& exception) {
    std::cerr << "known_load: " << exception._name() << '\n';
    return 1;
  }
}
