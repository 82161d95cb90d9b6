// SPDX-License-Identifier: Apache-2.0
//
// One of three processes that exchange messages, and recover by Manetho's protocol:
//
//     manetho_process DIRECTORY NUMBER TOKENS HOPS [CHECKPOINT_EVERY]
//
// Start it with the NUMBERs 0, 1 and 2 and the same DIRECTORY; when one dies, start it again. Each
// sends TOKENS tokens about, which end after HOPS receipts. Outputs are lines on standard output:
// "output ORDINAL INTERVAL TOKEN VALUE"; the same ordinal may come again after a death, with the
// same words. Other lines are news: "begins", "recovered", "waits" and an interval. At SIGTERM it
// writes DIRECTORY/ledger-NUMBER, all its receipts, and ends.
#include <signal.h>
#include <sys/signalfd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "manetho.h"

namespace {

int write_ledger(const std::string& path, const manetho::Application& application) {
  FILE* const file = fopen(path.c_str(), "w");
  if (file == nullptr) {
    perror(path.c_str());
    return 1;
  }
  for (uint64_t i = 0; i < application.receipts; ++i) {
    const manetho::Application::Entry& entry = application.ledger[i];
    fprintf(file, "%" PRIu64 " %" PRIu64 " %" PRIx64 "\n", entry.sender, entry.number,
            entry.value);
  }
  return fclose(file) == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  const auto number = [&](int at, uint64_t otherwise) {
    return count > at ? strtoull(arguments[at], nullptr, 10) : otherwise;
  };
  const uint64_t self = number(2, manetho::kProcesses), every = number(5, 16);
  if (count < 5 || self >= manetho::kProcesses || every == 0) {
    fprintf(stderr, "usage: manetho_process DIRECTORY NUMBER TOKENS HOPS [CHECKPOINT_EVERY]\n");
    return 2;
  }
  setvbuf(stdout, nullptr, _IOLBF, 0);
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigprocmask(SIG_BLOCK, &ending, nullptr);
  const std::string directory = arguments[1];
  try {
    manetho::Process process(directory, static_cast<uint32_t>(self), every, number(3, 0),
                             number(4, 0));
    process.run(signalfd(-1, &ending, SFD_CLOEXEC));
    return write_ledger(directory + "/ledger-" + std::to_string(self),
                        process.state().application);
  } catch (const auxin::checkpoint::Failure& failure) {
    fprintf(stderr, "manetho: %s\n", failure.what());
    return 1;
  }
}
