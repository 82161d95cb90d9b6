// SPDX-License-Identifier: Apache-2.0
//
// The window of mode kWindow: a mapping of bank A in which only the pages of open objects can be
// touched (paper 001, §2.2.1: objects "have to be made visible using an explicit open operation").
// Everything else in it faults, reads and writes alike; guard.h says what becomes of the fault.
//
// Two ways, the faster one where it works:
//   userfaultfd  registered for minor faults on tmpfs: a page is opened by UFFDIO_CONTINUE and
//                closed by MADV_DONTNEED, which touch this process's page tables only. A closed
//                page gives SIGBUS to the thread that touches it. No privilege needed.
//   mprotect     anywhere: pages go between PROT_NONE and PROT_READ|PROT_WRITE; SIGSEGV. Each open
//                page may cost two mappings of the process's 65,530.
//
// Thread safety: any thread. A page that one thread has open can be touched by all threads of the
// process; other processes have windows of their own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "stmemu/result.h"

namespace auxin::stm {

enum class WindowMethod : uint8_t { kUserfault, kMprotect };

class Window {
 public:
  // Over the first `size_bytes` of `fd`, all closed. `allow_userfault` false: mprotect.
  static Result<std::unique_ptr<Window>> make(int fd, uint64_t size_bytes,
                                              bool allow_userfault = true);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  char* base() const { return base_; }
  uint64_t size_bytes() const { return size_bytes_; }
  WindowMethod method() const { return method_; }

  // Whole pages. Opening what is open, or closing what is closed, is nothing. A failure of the
  // kernel halts the process: the protection would be a promise that is not kept.
  void open(uint64_t offset, uint64_t size_bytes, bool for_change);
  void close(uint64_t offset, uint64_t size_bytes);

 private:
  Window(char* base, uint64_t size_bytes) : base_(base), size_bytes_(size_bytes) {}
  bool guard_by_userfault();

  char* base_;
  uint64_t size_bytes_;
  int userfault_ = -1;
  WindowMethod method_ = WindowMethod::kMprotect;
};

}  // namespace auxin::stm
