// SPDX-License-Identifier: Apache-2.0
//
// A module that makes its process larger: AUXIN_BALLAST_MIB of memory, a hundredth of which its own
// thread changes twenty times a second. Preloaded into a server, for benchmarks of whole processes.
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

constexpr size_t kPageBytes = 4096;
size_t pages = 0;
char* memory = nullptr;

void* change(void*) {
  for (size_t at = 0;; usleep(50'000))
    for (size_t i = 0; i < pages / 100; ++i) ++memory[(at += 7919) % pages * kPageBytes];
  return nullptr;
}

[[gnu::constructor]] void load() {
  const char* text = getenv("AUXIN_BALLAST_MIB");
  pages = text == nullptr ? 0 : static_cast<size_t>(atol(text)) * 1024 * 1024 / kPageBytes;
  if (pages == 0) return;
  memory = static_cast<char*>(mmap(nullptr, pages * kPageBytes, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED) abort();
  for (size_t i = 0; i < pages * kPageBytes; i += 8) memory[i] = static_cast<char>(i * 2654435761u);
  sigset_t all, before;  // signals are the program's
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  pthread_create(&thread, nullptr, change, nullptr);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace
