// SPDX-License-Identifier: Apache-2.0
//
// By the section headers: they tell how long the dynamic symbol table is, and strip(1) keeps them.
#include "replication/supervisor/exported_symbol.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "replication/supervisor/descriptor.h"

namespace auxin::supervisor {
namespace {

constexpr uint64_t kMostTableBytes = uint64_t{64} << 20;  // more is no table of ours

// Empty if the file has no such range.
template <typename Item>
std::vector<Item> read_items(int fd, uint64_t offset, uint64_t count) {
  if (count > kMostTableBytes / sizeof(Item)) return {};
  std::vector<Item> items(count);
  const auto size = static_cast<ssize_t>(count * sizeof(Item));
  if (pread(fd, items.data(), count * sizeof(Item), static_cast<off_t>(offset)) != size) return {};
  return items;
}

bool is_shared_library(const Elf64_Ehdr& header) {
  return memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
         header.e_ident[EI_DATA] == ELFDATA2LSB && header.e_type == ET_DYN &&
         header.e_machine == EM_X86_64 && header.e_shentsize == sizeof(Elf64_Shdr);
}

bool is_exported(const Elf64_Sym& symbol) {
  const int binding = ELF64_ST_BIND(symbol.st_info);
  return symbol.st_shndx != SHN_UNDEF && (binding == STB_GLOBAL || binding == STB_WEAK);
}

bool is_named(const Elf64_Sym& symbol, const std::vector<char>& names, const std::string& name) {
  const size_t length = name.size() + 1;  // with the final zero
  return symbol.st_name <= names.size() && length <= names.size() - symbol.st_name &&
         memcmp(names.data() + symbol.st_name, name.c_str(), length) == 0;
}

}  // namespace

bool exports_symbol(const std::string& library, const std::string& name) {
  const Descriptor fd(open(library.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return false;
  const auto headers = read_items<Elf64_Ehdr>(fd.get(), 0, 1);
  if (headers.empty() || !is_shared_library(headers[0])) return false;
  const auto sections =
      read_items<Elf64_Shdr>(fd.get(), headers[0].e_shoff, headers[0].e_shnum);
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_DYNSYM || section.sh_link >= sections.size()) continue;
    const Elf64_Shdr& strings = sections[section.sh_link];
    const auto names = read_items<char>(fd.get(), strings.sh_offset, strings.sh_size);
    const auto symbols =
        read_items<Elf64_Sym>(fd.get(), section.sh_offset, section.sh_size / sizeof(Elf64_Sym));
    return std::any_of(symbols.begin(), symbols.end(), [&](const Elf64_Sym& symbol) {
      return is_exported(symbol) && is_named(symbol, names, name);
    });
  }
  return false;
}

}  // namespace auxin::supervisor
