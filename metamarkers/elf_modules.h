// SPDX-License-Identifier: Apache-2.0
//
// The loaded modules as the dynamic linker sees them: the functions they define and the relocated
// words that refer to functions by symbol.
//
// Everything here happens under the linker's own lock (dl_iterate_phdr), so no module can go away
// meanwhile. Visitors may allocate, but must not call dlopen, dlclose or dlsym (lock order).
//
// Thread safety: any thread, one visit at a time per module for writers (callers serialise).
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>

namespace auxin::markers {

// Valid during the visit only.
struct ElfModule {
  const char* name;       // file name without directories; of the program: its own file name
  const char* soname;     // or ""
  uintptr_t base;
  uintptr_t begin, end;   // extent of all its segments
  uintptr_t relro_begin, relro_end;  // whole pages that are read-only after relocation; or 0, 0
  uint64_t generation;    // changes whenever a module is loaded or unloaded

  const Elf64_Sym* symbols;
  const char* strings;
  const uint32_t* gnu_hash;   // either may be null
  const uint32_t* sysv_hash;
  struct Relocations {
    const Elf64_Rela* begin;
    size_t count;
  } relocations[2];           // data, procedure linkage

  const Elf64_Phdr* headers;
  size_t header_count;

  bool contains(uintptr_t address) const { return address >= begin && address < end; }
  bool named(const char* pattern) const;  // file name or soname
};

void for_each_elf_module(void (*visit)(const ElfModule& module, void* context), void* context);

// Functions that the module defines and exports (no IFUNCs).
void for_each_exported_function(const ElfModule& module,
                                void (*visit)(const char* symbol, uintptr_t address, void* context),
                                void* context);

// One relocated word that holds the address of a function named by symbol. A program that uses a
// library's data object (a vtable, say) directly has a copy of it, made before anything could be
// intercepted; for the words of such copies nothing is known but their value, and `symbol` is null.
struct FunctionReference {
  const char* symbol;
  uintptr_t* word;
  bool procedure_linkage;  // the word may still lead into the module's own lazy-binding code
};
void for_each_function_reference(const ElfModule& module,
                                 void (*visit)(const FunctionReference& reference, void* context),
                                 void* context);

// Lets words of one module be written for as long as it lives; read-only-after-relocation pages are
// made writable by the first write that needs it, and read-only again at the end.
class ModuleWriter {
 public:
  explicit ModuleWriter(const ElfModule& module) : module_(module) {}
  ~ModuleWriter();
  ModuleWriter(const ModuleWriter&) = delete;
  ModuleWriter& operator=(const ModuleWriter&) = delete;
  // False: the word can't be made writable.
  bool write(uintptr_t* word, uintptr_t value);

 private:
  const ElfModule& module_;
  bool opened_ = false;
};

}  // namespace auxin::markers
