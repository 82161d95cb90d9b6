// SPDX-License-Identifier: Apache-2.0
//
// A pair of stable nodes (paper 001, §2.1, figure 2): two memories and two processes; the primary
// of the one is the backup of the other. Each process counts in every memory that it has.
//
//   node_pair DIRECTORY a      and, in another terminal,      node_pair DIRECTORY b
//
// Kill either with `kill -9`: the other one counts on in both memories, from where the dead one
// was. Start it again, and it is given its own memory back. No count is lost or made twice.
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <unistd.h>

#include "auxin/stm_node.h"

using namespace auxin::stm;

namespace {

struct Counter : Stable {
  uint64_t count = 0;
};

void make_if_absent(const std::string& path) {
  if (access(path.c_str(), F_OK) == 0) return;
  try {
    NewMemory how;
    how.size_bytes = 1 << 20;
    Memory::create(path, how);
  } catch (const Failure&) {
    if (access(path.c_str(), F_OK) != 0) throw;  // else the other process was quicker
  }
}

StableNode join(const std::string& directory, const char* memory, Role role) {
  const std::string path = directory + "/" + memory + ".stm";
  make_if_absent(path);
  NodeOptions options;
  options.on_change = [memory, role](const NodeNotice& notice) {
    printf("%s of %s: %s", name_of(role), memory, name_of(notice.change));
    if (notice.change == NodeChange::kPromoted) {
      printf(" in place of process %u%s; consistent after %lu us, %lu transactions undone",
             notice.other_process, notice.other_hung ? ", which hung" : "",
             static_cast<unsigned long>(notice.recovery_us),
             static_cast<unsigned long>(notice.transactions_undone));
    }
    printf("\n");
    fflush(stdout);
  };
  return StableNode::join(path, role, options);
}

uint64_t count_one(const Memory& memory) {
  return atomically(memory, [](Transaction& t) {
    const auto reference = t.root<Counter>("counter");
    if (!reference) {
      auto counter = t.make<Counter>();
      t.set_root("counter", counter.reference());
      return counter->count = 1;
    }
    auto counter = t.open<Counter>(reference);
    return ++counter->count;
  });
}

void count(StableNode& node, const char* memory) {
  for (;;) {
    if (!node.wait_active(1000)) continue;
    try {
      const uint64_t now = count_one(node.memory());
      if (now % 100 == 0) printf("%s: %lu\n", memory, static_cast<unsigned long>(now));
      fflush(stdout);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    } catch (const Failure& failure) {
      if (failure.status() != Status::kStandby) throw;  // else it has just been handed over
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || (strcmp(argv[2], "a") != 0 && strcmp(argv[2], "b") != 0)) {
    fprintf(stderr, "usage: node_pair DIRECTORY a|b\n");
    return 2;
  }
  const char* own = argv[2];
  const char* other = *own == 'a' ? "b" : "a";
  try {
    StableNode primary = join(argv[1], own, as_primary);
    StableNode backup = join(argv[1], other, as_backup);
    std::thread counter([&] { count(backup, other); });
    count(primary, own);
  } catch (const Failure& failure) {
    fprintf(stderr, "node_pair: %s\n", failure.what());
    _exit(1);
  }
}
