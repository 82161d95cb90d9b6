// SPDX-License-Identifier: Apache-2.0
//
// Walks the loaded modules' dynamic sections (x86-64 ELF, RELA relocations).
#include "metamarkers/elf_modules.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "metamarkers/join_point_map.h"

namespace auxin::markers {

namespace {

const char* file_name_of(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash != nullptr ? slash + 1 : path;
}

// glibc has relocated the pointers in most dynamic sections, but not in all (the vdso's).
uintptr_t pointer_in(uintptr_t base, uint64_t value) { return value < base ? base + value : value; }

void read_segments(ElfModule& module) {
  module.begin = UINTPTR_MAX;
  module.end = 0;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (size_t index = 0; index < module.header_count; ++index) {
    const Elf64_Phdr& header = module.headers[index];
    const uintptr_t begin = module.base + header.p_vaddr;
    if (header.p_type == PT_LOAD) {
      if (begin < module.begin) module.begin = begin;
      if (begin + header.p_memsz > module.end) module.end = begin + header.p_memsz;
    } else if (header.p_type == PT_GNU_RELRO) {  // as the dynamic linker rounds it
      module.relro_begin = begin & ~(page - 1);
      module.relro_end = (begin + header.p_memsz) & ~(page - 1);
    }
  }
}

// False: nothing dynamic about this module.
bool read_dynamic(ElfModule& module) {
  const Elf64_Dyn* dynamic = nullptr;
  for (size_t index = 0; index < module.header_count; ++index) {
    if (module.headers[index].p_type == PT_DYNAMIC) {
      dynamic = reinterpret_cast<const Elf64_Dyn*>(module.base + module.headers[index].p_vaddr);
    }
  }
  if (dynamic == nullptr) return false;
  size_t soname = 0, data_size = 0, linkage_size = 0, linkage_kind = DT_RELA;
  for (; dynamic->d_tag != DT_NULL; ++dynamic) {
    const uintptr_t pointer = pointer_in(module.base, dynamic->d_un.d_ptr);
    switch (dynamic->d_tag) {
      case DT_SYMTAB: module.symbols = reinterpret_cast<const Elf64_Sym*>(pointer); break;
      case DT_STRTAB: module.strings = reinterpret_cast<const char*>(pointer); break;
      case DT_GNU_HASH: module.gnu_hash = reinterpret_cast<const uint32_t*>(pointer); break;
      case DT_HASH: module.sysv_hash = reinterpret_cast<const uint32_t*>(pointer); break;
      case DT_RELA:
        module.relocations[0].begin = reinterpret_cast<const Elf64_Rela*>(pointer);
        break;
      case DT_JMPREL:
        module.relocations[1].begin = reinterpret_cast<const Elf64_Rela*>(pointer);
        break;
      case DT_RELASZ: data_size = dynamic->d_un.d_val; break;
      case DT_PLTRELSZ: linkage_size = dynamic->d_un.d_val; break;
      case DT_PLTREL: linkage_kind = dynamic->d_un.d_val; break;
      case DT_SONAME: soname = dynamic->d_un.d_val; break;
      default: break;
    }
  }
  if (module.symbols == nullptr || module.strings == nullptr) return false;
  if (module.relocations[0].begin != nullptr) {
    module.relocations[0].count = data_size / sizeof(Elf64_Rela);
  }
  if (module.relocations[1].begin != nullptr && linkage_kind == DT_RELA) {
    module.relocations[1].count = linkage_size / sizeof(Elf64_Rela);
  }
  module.soname = soname != 0 ? module.strings + soname : "";
  return true;
}

struct Walk {
  void (*visit)(const ElfModule&, void*);
  void* context;
  char program[256];
};

int visit_one(dl_phdr_info* info, size_t, void* walk_pointer) {
  const Walk& walk = *static_cast<Walk*>(walk_pointer);
  ElfModule module{};
  const bool is_program = info->dlpi_name == nullptr || info->dlpi_name[0] == '\0';
  module.name = is_program ? walk.program : file_name_of(info->dlpi_name);
  module.base = info->dlpi_addr;
  module.headers = info->dlpi_phdr;
  module.header_count = info->dlpi_phnum;
  module.generation = info->dlpi_adds + info->dlpi_subs;
  read_segments(module);
  if (read_dynamic(module)) walk.visit(module, walk.context);
  return 0;
}

void visit_copy(const ElfModule& module, const Elf64_Rela& relocation,
                void (*visit)(const FunctionReference&, void*), void* context) {
  const Elf64_Sym& symbol = module.symbols[ELF64_R_SYM(relocation.r_info)];
  const uintptr_t begin = module.base + relocation.r_offset;
  if (begin % sizeof(uintptr_t) != 0) return;
  for (uintptr_t word = begin; word + sizeof(uintptr_t) <= begin + symbol.st_size;
       word += sizeof(uintptr_t)) {
    visit({nullptr, reinterpret_cast<uintptr_t*>(word), false}, context);
  }
}

}  // namespace

bool ElfModule::named(const char* pattern) const {
  return matches(pattern, name) || (soname[0] != '\0' && matches(pattern, soname));
}

void for_each_elf_module(void (*visit)(const ElfModule&, void*), void* context) {
  Walk walk{visit, context, {}};
  char path[sizeof walk.program];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length > 0) {
    path[length] = '\0';
    strcpy(walk.program, file_name_of(path));
  }
  dl_iterate_phdr(visit_one, &walk);
}

void for_each_exported_function(const ElfModule& module,
                                void (*visit)(const char*, uintptr_t, void*), void* context) {
  auto consider = [&](uint32_t index) {
    const Elf64_Sym& symbol = module.symbols[index];
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_value == 0) return;
    if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC) return;
    if (ELF64_ST_BIND(symbol.st_info) == STB_LOCAL) return;
    visit(module.strings + symbol.st_name, module.base + symbol.st_value, context);
  };
  if (module.gnu_hash != nullptr) {
    const uint32_t bucket_count = module.gnu_hash[0], first = module.gnu_hash[1];
    const uint32_t bloom_words = module.gnu_hash[2];
    const uint32_t* buckets = module.gnu_hash + 4 + 2 * static_cast<size_t>(bloom_words);
    const uint32_t* chains = buckets + bucket_count;
    for (uint32_t bucket = 0; bucket < bucket_count; ++bucket) {
      uint32_t index = buckets[bucket];
      if (index < first) continue;
      do consider(index);
      while ((chains[index++ - first] & 1) == 0);
    }
  } else if (module.sysv_hash != nullptr) {
    for (uint32_t index = 1; index < module.sysv_hash[1]; ++index) consider(index);
  }
}

void for_each_function_reference(const ElfModule& module,
                                 void (*visit)(const FunctionReference&, void*), void* context) {
  for (const ElfModule::Relocations& table : module.relocations) {
    for (size_t position = 0; position < table.count; ++position) {
      const Elf64_Rela& relocation = table.begin[position];
      const uint64_t type = ELF64_R_TYPE(relocation.r_info);
      if (type == R_X86_64_COPY) visit_copy(module, relocation, visit, context);
      if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT && type != R_X86_64_64) continue;
      if (type == R_X86_64_64 && relocation.r_addend != 0) continue;  // into an object, not at it
      const uint32_t index = ELF64_R_SYM(relocation.r_info);
      if (index == 0) continue;
      visit({module.strings + module.symbols[index].st_name,
             reinterpret_cast<uintptr_t*>(module.base + relocation.r_offset),
             type == R_X86_64_JUMP_SLOT},
            context);
    }
  }
}

ModuleWriter::~ModuleWriter() {
  if (opened_) {
    mprotect(reinterpret_cast<void*>(module_.relro_begin), module_.relro_end - module_.relro_begin,
             PROT_READ);
  }
}

bool ModuleWriter::write(uintptr_t* word, uintptr_t value) {
  const auto address = reinterpret_cast<uintptr_t>(word);
  if (address >= module_.relro_begin && address < module_.relro_end) {
    const size_t size = module_.relro_end - module_.relro_begin;
    if (!opened_ && mprotect(reinterpret_cast<void*>(module_.relro_begin), size,
                             PROT_READ | PROT_WRITE) != 0) {
      return false;
    }
    opened_ = true;
  } else {
    bool writable = false;
    for (size_t index = 0; index < module_.header_count; ++index) {
      const Elf64_Phdr& header = module_.headers[index];
      writable = writable || (header.p_type == PT_LOAD && (header.p_flags & PF_W) != 0 &&
                              address >= module_.base + header.p_vaddr &&
                              address < module_.base + header.p_vaddr + header.p_memsz);
    }
    if (!writable) return false;  // a relocation in code
  }
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
  return true;
}

}  // namespace auxin::markers
