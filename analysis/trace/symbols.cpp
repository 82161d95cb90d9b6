// SPDX-License-Identifier: Apache-2.0
#include "analysis/trace/symbols.h"

#include <cxxabi.h>
#include <elfutils/libdwfl.h>

#include <cstdlib>

namespace auxin::analysis {

struct Symbols::Session {
  Dwfl_Callbacks callbacks{};
  Dwfl* dwfl = nullptr;
  char* no_debug_path = nullptr;

  ~Session() { dwfl_end(dwfl); }
};

Symbols::Symbols(const std::vector<CodeModule>& modules) : session_(std::make_unique<Session>()) {
  session_->callbacks.find_elf = dwfl_build_id_find_elf;
  session_->callbacks.find_debuginfo = dwfl_standard_find_debuginfo;
  session_->callbacks.section_address = dwfl_offline_section_address;
  session_->callbacks.debuginfo_path = &session_->no_debug_path;
  session_->dwfl = dwfl_begin(&session_->callbacks);
  if (session_->dwfl == nullptr) return;
  dwfl_report_begin(session_->dwfl);
  for (const CodeModule& module : modules) {
    if (module.path.empty()) continue;
    // Where the file is not (any more), its addresses have no names.
    dwfl_report_elf(session_->dwfl, module.path.c_str(), module.path.c_str(), -1, module.base,
                    true);
  }
  dwfl_report_end(session_->dwfl, nullptr, nullptr);
}

Symbols::~Symbols() = default;

std::string Symbols::symbol_at(uint64_t address) const {
  if (session_->dwfl == nullptr) return {};
  Dwfl_Module* module = dwfl_addrmodule(session_->dwfl, address);
  if (module == nullptr) return {};
  GElf_Off offset = 0;
  GElf_Sym symbol{};
  const char* name =
      dwfl_module_addrinfo(module, address, &offset, &symbol, nullptr, nullptr, nullptr);
  // The nearest symbol before the address may end before it: then it is not its name.
  if (name == nullptr || (symbol.st_size != 0 && offset >= symbol.st_size)) return {};
  if (symbol.st_size == 0 && GELF_ST_TYPE(symbol.st_info) != STT_FUNC) return {};
  return name;
}

std::string demangled(const std::string& symbol) {
  int status = 0;
  char* text = abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status);
  std::string result = status == 0 && text != nullptr ? text : symbol;
  free(text);
  return result;
}

}  // namespace auxin::analysis
