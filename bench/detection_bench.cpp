// SPDX-License-Identifier: Apache-2.0
//
// What error detection of the checkpoint service costs, over 64 MiB of which one page in a hundred
// changes.
//
//   detection_bench --what turn  --detect N   a capture, its message, an image brought forward: us
//   detection_bench --what pause --detect N   the pause of it alone: us
//   detection_bench --what call  --detect N   a call that does next to nothing: ns
//   detection_bench --what self-test          us
//
// with --seconds S; N is a sum as auxin_checkpoint_detect takes it. Prints a JSON object with the
// median. The image is compared with the memory before anything is printed.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "auxin/checkpoint.h"

namespace {

using auxin::checkpoint::demand;

constexpr uint64_t kPageBytes = 4096, kPages = (uint64_t{64} << 20) / kPageBytes;

double now_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

[[noreturn]] void give_up(const std::string& why) {
  fprintf(stderr, "detection_bench: %s\n", why.c_str());
  exit(1);
}

void print(std::vector<double> figures) {
  std::sort(figures.begin(), figures.end());
  printf("{\"median\": %.3f, \"count\": %zu}\n", figures[figures.size() / 2], figures.size());
}

// `work` gives one figure each time.
template <typename Work>
std::vector<double> measure(double seconds, Work&& work) {
  std::vector<double> figures;
  const double end_us = now_us() + seconds * 1e6;
  while (now_us() < end_us || figures.size() < 5) figures.push_back(work());
  return figures;
}

void measure_turns(double seconds, bool pause_only) {
  std::vector<char> memory(kPages * kPageBytes, 1);
  auxin::checkpoint::State state;
  state.add_range(1, memory.data(), memory.size());
  auxin_checkpoint_image* image = nullptr;
  demand(auxin_checkpoint_image_create(UINT64_MAX, &image));
  const auto turn = [&] {
    const double began_us = now_us();
    auxin_checkpoint_message* message = nullptr;
    demand(auxin_checkpoint_capture(state.get(), AUXIN_CHECKPOINT_INCREMENT));
    demand(auxin_checkpoint_take_message(state.get(), &message));
    demand(auxin_checkpoint_image_apply(image, message));
    auxin_checkpoint_message_free(message);
    return pause_only ? state.statistics().last_pause_us : now_us() - began_us;
  };
  turn();
  std::mt19937_64 random(1);
  std::vector<double> figures = measure(seconds, [&] {
    for (uint64_t i = 0; i < kPages / 100; ++i) {
      memory[random() % kPages * kPageBytes + random() % kPageBytes] += 1;
    }
    return turn();
  });
  const void* bytes = nullptr;
  uint64_t size_bytes = 0;
  demand(auxin_checkpoint_image_region(image, 1, &bytes, &size_bytes));
  if (memcmp(bytes, memory.data(), size_bytes) != 0) give_up("the image is not the memory");
  auxin_checkpoint_image_destroy(image);
  print(std::move(figures));
}

void measure_calls(double seconds) {
  constexpr int kBatch = 2000;
  auxin::checkpoint::State state;
  print(measure(seconds, [&] {
    const double began_us = now_us();
    for (int i = 0; i < kBatch; ++i) demand(auxin_checkpoint_request_done(state.get()));
    return (now_us() - began_us) * 1000 / kBatch;
  }));
}

void measure_self_test(double seconds) {
  print(measure(seconds, [] {
    const double began_us = now_us();
    demand(auxin_checkpoint_self_test(nullptr));
    return now_us() - began_us;
  }));
}

}  // namespace

int main(int argc, char** argv) {
  const option options[] = {{"what", required_argument, nullptr, 'w'},
                            {"detect", required_argument, nullptr, 'd'},
                            {"seconds", required_argument, nullptr, 's'},
                            {nullptr, 0, nullptr, 0}};
  std::string what;
  uint32_t detect = 0;
  double seconds = 1;
  for (int letter; (letter = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    switch (letter) {
      case 'w': what = optarg; break;
      case 'd': detect = static_cast<uint32_t>(strtoul(optarg, nullptr, 10)); break;
      case 's': seconds = strtod(optarg, nullptr); break;
      default: return 2;
    }
  }
  demand(auxin_checkpoint_detect(detect));
  if (what == "turn" || what == "pause") {
    measure_turns(seconds, what == "pause");
  } else if (what == "call") {
    measure_calls(seconds);
  } else if (what == "self-test") {
    measure_self_test(seconds);
  } else {
    give_up("--what turn|pause|call|self-test");
  }
  return 0;
}
