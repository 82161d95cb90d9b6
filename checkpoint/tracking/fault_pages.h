// SPDX-License-Identifier: Apache-2.0
//
// Which pages were stored to, by mprotect and SIGSEGV: for kernels and for comparisons; never
// chosen by itself. A first store to a page costs a signal and a system call, and every page that
// is open for stores may be a mapping of its own.
//
// What mprotect does not see is found at the look: pages that were dropped, by what the page map
// says of them (there, and the process's own; there, but shared or zeros; not there), and areas
// that were mapped anew, by their protection in /proc/self/maps.
//
// Limits: the kernel itself does not store into protected pages: read(2) into one fails with
// EFAULT. Protected memory must not be moved (mremap): it takes its protection with it, and what
// comes to be elsewhere that way is not seen. A process that protects such pages for its own
// purposes loses that. A handler of SIGSEGV that is installed later is found at the next look and
// put behind this one; until then faults of tracked pages are its.
//
// One per process at a time (the handler is the process's). Thread safety: one thread at a time;
// the handler runs in any.
#pragma once

#include <cstdint>

#include "checkpoint/tracking/page_run.h"

namespace auxin::checkpoint {

class FaultPages {
 public:
  // False: the process has one already, or the kernel refuses the handler.
  bool open();
  // The handler goes, if no later one hides it. Pages must have been released.
  void close();
  bool valid() const { return open_; }
  // As WrittenPages::forget(): after fork the handler and the protections are the child's too.
  bool take_over();

  // The handler is in its place again if someone took it. Before the ranges of a look.
  void begin_look();
  // Takes stores to [begin, end), which is mapped, away. False: no memory.
  bool protect(uint64_t begin, uint64_t end, bool executable);
  void release(uint64_t begin, uint64_t end, bool executable);
  // Visits what may have changed since it was protected, and protects it again. `fresh`: areas that
  // were mapped anew are counted there. False: nothing can be known, everything may have changed.
  bool look(uint64_t begin, uint64_t end, bool executable, uint32_t* replaced,
            const RunVisitor& visitor);

 private:
  bool open_ = false;
};

}  // namespace auxin::checkpoint
