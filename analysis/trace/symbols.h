// SPDX-License-Identifier: Apache-2.0
//
// The names of code addresses, from the files of the modules: their symbol tables, those of
// separate debug files where there are any, and what every shared object must have (its dynamic
// symbols), so also of stripped ones. Through elfutils.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace auxin::analysis {

struct CodeModule {
  std::string path;
  uint64_t base, begin, end;
};

class Symbols {
 public:
  explicit Symbols(const std::vector<CodeModule>& modules);
  ~Symbols();
  Symbols(const Symbols&) = delete;
  Symbols& operator=(const Symbols&) = delete;

  // The linker's name of the function that the address is in; "" where none covers it.
  std::string symbol_at(uint64_t address) const;

 private:
  struct Session;
  std::unique_ptr<Session> session_;
};

// As a C++ programmer writes it; what is no mangled name stays as it is.
std::string demangled(const std::string& symbol);

}  // namespace auxin::analysis
