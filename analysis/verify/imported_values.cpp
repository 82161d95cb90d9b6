// SPDX-License-Identifier: Apache-2.0
#include "analysis/verify/imported_values.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string_view>

namespace auxin::analysis {
namespace {

constexpr std::string_view kOwnValues[] = {
    "clock",       "times",     "getrusage", "clock_getcpuclockid", "pthread_getcpuclockid",
    "getloadavg",  "getcpu",    "gettid",    "sched_getcpu",        "getppid",
    "sysinfo",     "mallinfo",  "mallinfo2", "get_avphys_pages",    "arc4random",
    "arc4random_uniform"};

void collect(Elf* elf, std::set<std::string>* found) {
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_DYNSYM ||
        header.sh_entsize == 0) {
      continue;
    }
    Elf_Data* data = elf_getdata(section, nullptr);
    if (data == nullptr) continue;
    const size_t count = data->d_size / header.sh_entsize;
    for (size_t i = 0; i < count; ++i) {
      GElf_Sym symbol;
      if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
      if (symbol.st_shndx != SHN_UNDEF) continue;
      const char* name = elf_strptr(elf, header.sh_link, symbol.st_name);
      if (name != nullptr && std::count(std::begin(kOwnValues), std::end(kOwnValues),
                                        std::string_view(name)) > 0) {
        found->insert(name);
      }
    }
  }
}

}  // namespace

std::vector<std::string> imported_values(const std::vector<std::string>& modules) {
  std::set<std::string> found;
  elf_version(EV_CURRENT);
  for (const std::string& path : modules) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    if (Elf* elf = elf_begin(fd, ELF_C_READ, nullptr); elf != nullptr) {
      collect(elf, &found);
      elf_end(elf);
    }
    close(fd);
  }
  return {found.begin(), found.end()};
}

}  // namespace auxin::analysis
