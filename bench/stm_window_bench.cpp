// SPDX-License-Identifier: Apache-2.0
//
// What mode window costs where it differs from the others: Open and Close of one object by
// themselves, without Begin and Commit, each with one store between them. And what the kernel takes
// for the same without any memory around it: UFFDIO_CONTINUE of one page, a store to it, and
// MADV_DONTNEED, by turns with the former, so that whatever slows the machine slows both.
//
// An Open is the first one of its object in its transaction: finding its place, the claim, judging
// both copies and the intent are in it.
//
//   stm_window_bench --directory DIR --seconds S
//
// Prints a JSON object: nanoseconds of a pair, the medians and 95th percentiles over batches, and
// the guard that was at work ("userfaultfd" or "mprotect"). Afterwards every object must hold what
// was last stored into it.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/userfaultfd.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "auxin/stm.h"
#include "bench/stm_workload.h"

namespace {

using namespace auxin::bench;
namespace stm = auxin::stm;

constexpr uint32_t kWindowObjects = 1024;
constexpr uint32_t kPairs = 32;  // of a batch: one transaction's objects
constexpr uint64_t kPageBytes = 4096;
constexpr int kExitUsage = 2;

struct Object : stm::Stable {
  uint64_t words[8] = {};
};

double now_ns() { return now_seconds() * 1e9; }

// Pages of a tmpfs file of its own, opened and closed as the library does it.
class RawWindow {
 public:
  RawWindow() : file_(memfd_create("stm_window_bench", MFD_CLOEXEC)) {
    if (file_ < 0 || ftruncate(file_, kSize) != 0) fail("memfd_create: %s", strerror(errno));
    void* filled = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    if (filled == MAP_FAILED) fail("mmap: %s", strerror(errno));
    memset(filled, 1, kSize);
    munmap(filled, kSize);
    void* base = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    if (base == MAP_FAILED) fail("mmap: %s", strerror(errno));
    base_ = static_cast<char*>(base);
    fault_ = static_cast<int>(
        syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY));
    uffdio_api api = {};
    api.api = UFFD_API;
    api.features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_MISSING_SHMEM;
    uffdio_register area = {};
    area.range = {reinterpret_cast<uint64_t>(base_), kSize};
    area.mode = UFFDIO_REGISTER_MODE_MINOR | UFFDIO_REGISTER_MODE_MISSING;
    works_ = fault_ >= 0 && ioctl(fault_, UFFDIO_API, &api) == 0 &&
             ioctl(fault_, UFFDIO_REGISTER, &area) == 0 &&
             madvise(base_, kSize, MADV_NOHUGEPAGE) == 0;
  }
  RawWindow(const RawWindow&) = delete;
  RawWindow& operator=(const RawWindow&) = delete;
  ~RawWindow() {
    munmap(base_, kSize);
    if (fault_ >= 0) close(fault_);
    close(file_);
  }

  // Whether this machine has userfaultfd for minor faults on tmpfs.
  bool works() const { return works_; }

  void open_and_close(uint32_t page) {
    char* const start = base_ + page * kPageBytes;
    uffdio_continue request = {};
    request.range = {reinterpret_cast<uint64_t>(start), kPageBytes};
    request.mode = UFFDIO_CONTINUE_MODE_DONTWAKE;
    if (ioctl(fault_, UFFDIO_CONTINUE, &request) != 0) fail("UFFDIO_CONTINUE: %s", strerror(errno));
    *reinterpret_cast<volatile uint64_t*>(start) = page;
    if (madvise(start, kPageBytes, MADV_DONTNEED) != 0) fail("madvise: %s", strerror(errno));
  }

 private:
  static constexpr uint64_t kSize = kWindowObjects * kPageBytes;
  int file_;
  int fault_ = -1;
  char* base_ = nullptr;
  bool works_ = false;
};

std::vector<stm::stable_ptr<Object>> make_objects(const stm::Memory& memory) {
  std::vector<stm::stable_ptr<Object>> objects;
  stm::atomically(memory, [&](stm::Transaction& transaction) {
    objects.clear();
    while (objects.size() < kWindowObjects) {
      objects.push_back(transaction.make<Object>().reference());
    }
  });
  return objects;
}

double at_share(std::vector<double>& sorted, double share) {
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
}

void print_pair(const char* name, std::vector<double> times) {
  if (times.empty()) {
    printf("\"%s\": null, ", name);
    return;
  }
  std::sort(times.begin(), times.end());
  printf("\"%s\": {\"median\": %.1f, \"p95\": %.1f}, ", name, at_share(times, 0.5),
         at_share(times, 0.95));
}

void measure(const std::string& parent, double seconds) {
  static const TemporaryDirectory directory(parent);
  stm::NewMemory how;
  how.size_bytes = kStoreBytes;
  how.mode = stm::Mode::kWindow;
  stm::Memory::create(directory.path() + "/memory", how);
  const stm::Memory memory = stm::Memory::open(directory.path() + "/memory");
  const auto references = make_objects(memory);
  std::vector<Object*> objects;
  for (const auto& reference : references) {
    objects.push_back(static_cast<Object*>(memory.at_address(reference.address())));
  }
  std::vector<uint64_t> expected(kWindowObjects, 0);
  RawWindow raw;
  std::vector<double> ours, raws;
  stm::Transaction transaction(memory);
  uint64_t value = 0;
  uint32_t next = 0;
  for (const double begin = now_seconds(); now_seconds() < begin + seconds;) {
    transaction.Begin();
    double from = now_ns();
    for (uint32_t pair = 0; pair < kPairs; ++pair) {
      Object* const object = objects[next + pair];
      object->Open();
      object->words[0] = ++value;
      object->Close();
    }
    ours.push_back((now_ns() - from) / kPairs);
    transaction.Commit();
    for (uint32_t pair = 0; pair < kPairs; ++pair) {
      expected[next + pair] = value - kPairs + 1 + pair;
    }
    if (raw.works()) {
      from = now_ns();
      for (uint32_t pair = 0; pair < kPairs; ++pair) raw.open_and_close(next + pair);
      raws.push_back((now_ns() - from) / kPairs);
    }
    next = (next + kPairs) % kWindowObjects;
  }
  for (uint32_t object = 0; object < kWindowObjects; ++object) {
    stm::atomically(memory, [&](stm::Transaction& t) {
      if (t.open<const Object>(references[object])->words[0] != expected[object]) {
        fail("object %u does not hold the last value stored into it", object);
      }
    });
  }
  printf("{");
  print_pair("open_close_ns", ours);
  print_pair("raw_pair_ns", raws);
  printf("\"guard\": \"%s\", \"batches\": %zu}\n", memory.report().guard.c_str(), ours.size());
}

}  // namespace

int main(int argc, char** argv) {
  const option options[] = {{"directory", required_argument, nullptr, 'd'},
                            {"seconds", required_argument, nullptr, 't'},
                            {nullptr, 0, nullptr, 0}};
  std::string directory;
  double seconds = 0;
  for (int got; (got = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    if (got == 'd') directory = optarg;
    if (got == 't') seconds = strtod(optarg, nullptr);
  }
  if (optind != argc || directory.empty() || !isfinite(seconds) || seconds <= 0) {
    fputs("usage: stm_window_bench --directory DIR --seconds S\n", stderr);
    return kExitUsage;
  }
  try {
    measure(directory, seconds);
  } catch (const stm::Failure& failure) {
    fail("%s", failure.what());
  }
  return 0;
}
