// SPDX-License-Identifier: Apache-2.0
#include "replication/accused_modules.h"

#include <string>

#include "metamarkers/elf_modules.h"
#include "metamarkers/join_point_map.h"
#include "replication/classification.h"

namespace auxin::replication {
namespace {

struct Loaded {
  std::string name, soname;
  uintptr_t base = 0;
  ModuleKind kind = ModuleKind::kConduit;
  std::vector<std::string> needed;
  bool is_needed = false, reached = false;

  bool is(const std::string& wanted) const { return wanted == soname || wanted == name; }
  bool leads_on() const {
    return kind == ModuleKind::kApplication || kind == ModuleKind::kInterpreter;
  }
};

std::vector<std::string> needed_by(const markers::ElfModule& module) {
  std::vector<std::string> names;
  for (size_t i = 0; i < module.header_count; ++i) {
    if (module.headers[i].p_type != PT_DYNAMIC) continue;
    const auto* entry =
        reinterpret_cast<const Elf64_Dyn*>(module.base + module.headers[i].p_vaddr);
    for (; entry->d_tag != DT_NULL; ++entry) {
      if (entry->d_tag == DT_NEEDED) names.emplace_back(module.strings + entry->d_un.d_val);
    }
  }
  return names;
}

// What libc loads for its own use, and what we load to look at stacks.
bool is_of_the_system(const char* name) {
  return markers::matches("libunwind*", name) || markers::matches("libnss_*", name);
}

void add(const markers::ElfModule& module, void* context) {
  Loaded loaded;
  loaded.name = module.name;
  loaded.soname = module.soname;
  loaded.base = module.base;
  loaded.kind = is_of_the_system(module.name) ? ModuleKind::kConduit
                                              : map_classification().kind_of(module.name);
  loaded.needed = needed_by(module);
  static_cast<std::vector<Loaded>*>(context)->push_back(std::move(loaded));
}

Loaded* find(std::vector<Loaded>& modules, const std::string& name) {
  for (Loaded& each : modules) {
    if (each.is(name)) return &each;
  }
  return nullptr;
}

void reach(std::vector<Loaded>& modules, Loaded& from) {
  if (from.reached || !from.leads_on()) return;
  from.reached = true;
  for (const std::string& name : from.needed) {
    if (Loaded* to = find(modules, name)) reach(modules, *to);
  }
}

}  // namespace

std::vector<uintptr_t> accused_modules() {
  std::vector<Loaded> modules;
  markers::for_each_elf_module(add, &modules);
  for (const Loaded& each : modules) {
    for (const std::string& name : each.needed) {
      if (Loaded* to = find(modules, name)) to->is_needed = true;
    }
  }
  for (Loaded& each : modules) {
    if (!each.is_needed) reach(modules, each);
  }
  std::vector<uintptr_t> accused;
  for (const Loaded& each : modules) {
    if (each.reached && each.kind == ModuleKind::kApplication) accused.push_back(each.base);
  }
  return accused;
}

}  // namespace auxin::replication
