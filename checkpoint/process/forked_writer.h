// SPDX-License-Identifier: Apache-2.0
//
// A forked child that holds the memory of the stopped process as it was, and writes it while the
// process goes on: where the kernel can't tell what changed.
//
// No signal comes of its end, and no wait for any child of the program's meets it. It has nothing
// open but what it writes to, so connections and locks end with their process; and it dies with it.
//
// Raw system calls. Thread safety: the saver alone.
#pragma once

namespace auxin::checkpoint {

class ForkedWriter {
 public:
  static constexpr long kKilled = 1;

  // All other threads stand still. The child does `work`, which gives 0 or -errno, with the
  // descriptor `kept` alone. 0, or -errno: there is no child.
  long start(long (*work)(void* context), void* context, int kept);
  // Blocks until it has ended. 0, -errno of its work, or kKilled.
  long wait();
  void kill_and_wait();
  bool runs() const { return process_ > 0; }

 private:
  long process_ = 0;   // 0 in the child, and so in the image
};

}  // namespace auxin::checkpoint
