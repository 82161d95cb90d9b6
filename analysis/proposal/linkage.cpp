// SPDX-License-Identifier: Apache-2.0
#include "analysis/proposal/linkage.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gelf.h>
#include <libelf.h>
#include <string.h>
#include <unistd.h>

#include <filesystem>

namespace auxin::analysis {
namespace {

// One file, open for as long as it is read.
class ElfFile {
 public:
  explicit ElfFile(const std::string& path) {
    elf_version(EV_CURRENT);
    fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ >= 0) elf_ = elf_begin(fd_, ELF_C_READ_MMAP, nullptr);
    if (elf_ != nullptr && elf_kind(elf_) != ELF_K_ELF) {
      elf_end(elf_);
      elf_ = nullptr;
    }
  }
  ~ElfFile() {
    if (elf_ != nullptr) elf_end(elf_);
    if (fd_ >= 0) close(fd_);
  }
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;
  Elf* get() const { return elf_; }

 private:
  int fd_ = -1;
  Elf* elf_ = nullptr;
};

std::string text_at(Elf* elf, size_t section, size_t offset) {
  const char* text = elf_strptr(elf, section, offset);
  return text != nullptr ? text : "";
}

void read_dynamic(Elf* elf, const GElf_Shdr& header, Elf_Data* data, LinkedModule& module) {
  GElf_Dyn entry;
  for (int i = 0; gelf_getdyn(data, i, &entry) != nullptr; ++i) {
    if (entry.d_tag == DT_NEEDED) {
      module.needed.push_back(text_at(elf, header.sh_link, entry.d_un.d_val));
    } else if (entry.d_tag == DT_SONAME) {
      module.soname = text_at(elf, header.sh_link, entry.d_un.d_val);
    }
  }
}

void read_symbols(Elf* elf, const GElf_Shdr& header, Elf_Data* data, LinkedModule& module) {
  GElf_Sym symbol;
  for (int i = 0; gelf_getsym(data, i, &symbol) != nullptr; ++i) {
    if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF) continue;
    if (GELF_ST_BIND(symbol.st_info) == STB_LOCAL) continue;
    const auto visibility = GELF_ST_VISIBILITY(symbol.st_other);
    if (visibility == STV_HIDDEN || visibility == STV_INTERNAL) continue;
    module.functions.insert(text_at(elf, header.sh_link, symbol.st_name));
  }
}

void read_relocations(Elf* elf, const GElf_Shdr& header, Elf_Data* data, LinkedModule& module) {
  Elf_Scn* symbols = elf_getscn(elf, header.sh_link);
  GElf_Shdr symbols_header;
  if (symbols == nullptr || gelf_getshdr(symbols, &symbols_header) == nullptr ||
      symbols_header.sh_type != SHT_DYNSYM) {
    return;
  }
  Elf_Data* table = elf_getdata(symbols, nullptr);
  GElf_Rela relocation;
  for (int i = 0; gelf_getrela(data, i, &relocation) != nullptr; ++i) {
    const auto index = static_cast<int>(GELF_R_SYM(relocation.r_info));
    GElf_Sym symbol;
    if (index == 0 || gelf_getsym(table, index, &symbol) == nullptr) continue;
    module.referred.insert(text_at(elf, symbols_header.sh_link, symbol.st_name));
  }
}

// False: not a file of this kind.
bool read_file(LinkedModule& module) {
  const ElfFile file(module.path);
  if (file.get() == nullptr) return false;
  for (Elf_Scn* section = elf_nextscn(file.get(), nullptr); section != nullptr;
       section = elf_nextscn(file.get(), section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    Elf_Data* data = elf_getdata(section, nullptr);
    if (data == nullptr) continue;
    if (header.sh_type == SHT_DYNAMIC) read_dynamic(file.get(), header, data, module);
    if (header.sh_type == SHT_DYNSYM) read_symbols(file.get(), header, data, module);
    if (header.sh_type == SHT_RELA) read_relocations(file.get(), header, data, module);
  }
  return true;
}

}  // namespace

Linkage Linkage::read(const std::vector<TraceModule>& modules) {
  Linkage linkage;
  for (const TraceModule& traced : modules) {
    LinkedModule module;
    module.path = traced.path;
    module.file_name = std::filesystem::path(traced.path).filename().string();
    if (!read_file(module)) {
      linkage.notes.push_back(fmt::format("{}: can't be read: its functions are not known",
                                          traced.path));
    }
    linkage.modules_.push_back(std::move(module));
  }
  for (size_t i = 0; i < linkage.modules_.size(); ++i) {
    const LinkedModule& module = linkage.modules_[i];
    // The first one in the order of loading wins, as for the dynamic linker.
    for (const std::string& symbol : module.functions) linkage.owners_.emplace(symbol, i);
    linkage.referred_.insert(module.referred.begin(), module.referred.end());
  }
  return linkage;
}

const LinkedModule* Linkage::module(uint32_t index) const {
  return index < modules_.size() ? &modules_[index] : nullptr;
}

const LinkedModule* Linkage::owner(const std::string& symbol) const {
  const auto found = owners_.find(symbol);
  return found == owners_.end() ? nullptr : &modules_[found->second];
}

bool Linkage::interceptable(const std::string& symbol) const {
  return !symbol.empty() && referred_.contains(symbol) && owners_.contains(symbol);
}

const LinkedModule* Linkage::find(const std::string& name) const {
  for (const LinkedModule& module : modules_)
    if (module.soname == name || module.file_name == name) return &module;
  return nullptr;
}

}  // namespace auxin::analysis
