// SPDX-License-Identifier: Apache-2.0
//
// Finds the functions a map names and points the loaded modules' references at stubs.
//
// Three passes. The first goes through the modules that may define something and collects the
// functions that match (targets). Between the passes each target gets a stub, and the linker is
// asked to which definition its name binds globally. The third goes through all references: a word
// that holds a target's address gets the stub's (also one in a program's copy of a library's
// vtable, which is known by its value only); a word still leading into lazy binding gets it if
// its name binds to the target. All other words are left alone: they belong to another definition,
// or to somebody else's interposer.
#include "metamarkers/interception.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "metamarkers/address_check.h"
#include "metamarkers/annotation.h"
#include "metamarkers/elf_modules.h"
#include "metamarkers/intercepted.h"
#include "metamarkers/symbol_pattern.h"

namespace auxin::markers {

namespace {

// install() and rebind() one at a time. Not a std::mutex: its calls may be hooked.
constinit std::atomic<uint32_t> busy{0};
class Serialised {
 public:
  Serialised() {
    while (busy.exchange(1, std::memory_order_acquire) != 0) busy.wait(1);
  }
  ~Serialised() {
    busy.store(0, std::memory_order_release);
    busy.notify_one();
  }
  Serialised(const Serialised&) = delete;
  Serialised& operator=(const Serialised&) = delete;
};

bool is_ourselves(const ElfModule& module) { return module.contains(stub_address(0)); }

struct Target {
  std::string symbol;
  uintptr_t function;
  size_t join_point;             // index in the map
  int stub = -1;                 // none: see JoinPointState::problem
  bool binds_globally = true;    // an unresolved reference to the name means this function
};

struct JoinPointState {
  SymbolPattern pattern;
  bool library_loaded = false;
  int functions = 0;             // that the pattern matches
  int references = 0;
  std::string problem;
};

struct Installation {
  const JoinPointMap& map;
  std::vector<JoinPointState> states;
  std::vector<Target> targets;
  std::unordered_multimap<std::string_view, Target*> by_symbol;
  std::unordered_map<uintptr_t, Target*> by_address;  // the function's and its stub's
  std::vector<std::pair<uintptr_t, uintptr_t>> extents;  // of the loaded modules
  uint64_t generation = 0;
};

// What install() gave for a map, and for which set of modules: the answer stays while these stay.
struct Remembered {
  const JoinPointMap* map;
  uint64_t generation;
  Installed installed;
};
constinit std::vector<Remembered>* remembered = nullptr;

struct ModuleVisit {
  Installation& installation;
  const ElfModule& module;
  ModuleWriter* writer;
  std::vector<size_t> join_points;  // those that this module may define
};

void collect_function(const char* symbol, uintptr_t address, void* context) {
  ModuleVisit& visit = *static_cast<ModuleVisit*>(context);
  for (size_t index : visit.join_points) {
    JoinPointState& state = visit.installation.states[index];
    if (!state.pattern.matches_symbol(symbol)) continue;
    ++state.functions;
    visit.installation.targets.push_back({symbol, address, index});
  }
}

void collect_module(const ElfModule& module, void* context) {
  Installation& installation = *static_cast<Installation*>(context);
  installation.generation = module.generation;
  installation.extents.emplace_back(module.begin, module.end);
  if (is_ourselves(module)) return;
  ModuleVisit visit{installation, module, nullptr, {}};
  for (size_t index = 0; index < installation.map.join_points.size(); ++index) {
    if (module.named(installation.map.join_points[index].library.c_str())) {
      visit.join_points.push_back(index);
      installation.states[index].library_loaded = true;
    }
  }
  if (!visit.join_points.empty()) for_each_exported_function(module, collect_function, &visit);
}

// The stub for a function: the one it has, or a free one. -1: see state.problem.
int take_stub(const Installation& installation, const Target& target, std::string* problem) {
  const JoinPoint& join_point = installation.map.join_points[target.join_point];
  int free_stub = -1;
  for (int index = 0; index < kMaxJoinPoints; ++index) {
    Intercepted& entry = intercepted[index];
    if (entry.join_point != nullptr && entry.original == target.function) {
      if (entry.join_point == &join_point) return index;
      *problem = "already intercepted as " + entry.join_point->name;
      return -1;
    }
    const bool gone = std::none_of(
        installation.extents.begin(), installation.extents.end(), [&](const auto& extent) {
          return entry.original >= extent.first && entry.original < extent.second;
        });
    if (free_stub < 0 && (entry.join_point == nullptr || gone)) free_stub = index;
  }
  if (free_stub < 0) {
    *problem = "no stub left: " + std::to_string(kMaxJoinPoints) +
               " functions are intercepted already";
    return -1;
  }
  intercepted[free_stub] = {&join_point, target.function};
  return free_stub;
}

// True for the address of a linkage-table entry's second half, "push the relocation's number; go to
// the resolver": what a word holds until its function is called for the first time.
bool leads_to_resolver(const ElfModule& module, uintptr_t value) {
  if (!module.contains(value) || !module.contains(value + 8)) return false;
  const auto* code = reinterpret_cast<const unsigned char*>(value);
  constexpr unsigned char kEndbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
  if (std::equal(std::begin(kEndbr64), std::end(kEndbr64), code)) code += sizeof kEndbr64;
  return *code == 0x68;
}

// Counts the word if it holds the stub's address, or can be made to.
void replace_word(ModuleVisit& visit, const Target& target, uintptr_t* word, uintptr_t value) {
  JoinPointState& state = visit.installation.states[target.join_point];
  const uintptr_t stub = stub_address(target.stub);
  if (value == stub || visit.writer->write(word, stub)) {
    ++state.references;
  } else {
    state.problem = std::string("a reference in ") + visit.module.name + " can't be written";
  }
}

void point_at_stub(const FunctionReference& reference, void* context) {
  ModuleVisit& visit = *static_cast<ModuleVisit*>(context);
  if (reference.symbol == nullptr) {
    const uintptr_t copied = __atomic_load_n(reference.word, __ATOMIC_RELAXED);
    const auto known = visit.installation.by_address.find(copied);
    if (known != visit.installation.by_address.end()) {
      replace_word(visit, *known->second, reference.word, copied);
    }
    return;
  }
  const auto [first, last] = visit.installation.by_symbol.equal_range(reference.symbol);
  if (first == last) return;
  const uintptr_t value = __atomic_load_n(reference.word, __ATOMIC_RELAXED);
  const bool lazy = reference.procedure_linkage && leads_to_resolver(visit.module, value);
  for (auto candidate = first; candidate != last; ++candidate) {
    const Target& target = *candidate->second;
    if (target.stub < 0) continue;
    if (value == target.function || value == stub_address(target.stub) ||
        (lazy && target.binds_globally)) {
      return replace_word(visit, target, reference.word, value);
    }
  }
}

void point_module_at_stubs(const ElfModule& module, void* context) {
  if (is_ourselves(module)) return;
  ModuleWriter writer(module);
  ModuleVisit visit{*static_cast<Installation*>(context), module, &writer, {}};
  for_each_function_reference(module, point_at_stub, &visit);
}

// Why the join point has no effect, or not all of it; "" if it has.
std::string reason(const JoinPointState& state, const JoinPoint& join_point) {
  if (!state.problem.empty()) return state.problem;
  if (!state.library_loaded) {
    return join_point.optional ? "" : "no " + join_point.library + " is loaded";
  }
  if (state.functions == 0) return "no such function in " + join_point.library;
  if (state.references == 0 && !join_point.optional) return "nothing refers to it";
  return "";
}

// What matches too much is dropped whole: which of its functions came first would be chance.
void drop_wide(Installation& installation) {
  for (size_t index = 0; index < installation.states.size(); ++index) {
    JoinPointState& state = installation.states[index];
    if (state.functions <= kMaxFunctionsPerJoinPoint) continue;
    state.problem = "matches " + std::to_string(state.functions) + " functions in " +
                    installation.map.join_points[index].library + ", more than " +
                    std::to_string(kMaxFunctionsPerJoinPoint) + "; none is intercepted";
    std::erase_if(installation.targets,
                  [&](const Target& target) { return target.join_point == index; });
  }
}

Installed summary(const Installation& installation) {
  Installed result;
  for (size_t index = 0; index < installation.states.size(); ++index) {
    const JoinPointState& state = installation.states[index];
    result.references += state.references;
    if (state.references > 0) ++result.join_points;
    const JoinPoint& join_point = installation.map.join_points[index];
    std::string why = reason(state, join_point);
    if (why.empty()) continue;
    result.missing.push_back(
        {&join_point, std::move(why), state.functions > kMaxFunctionsPerJoinPoint});
  }
  return result;
}

void note_generation(const ElfModule& module, void* context) {
  *static_cast<uint64_t*>(context) = module.generation;
}

}  // namespace

std::string Installed::missing_text() const {
  std::string text;
  for (const NotIntercepted& each : missing) {
    text += (text.empty() ? "" : ", ") + each.join_point->name + " (" + each.why + ")";
  }
  return text;
}

Installed install(const JoinPointMap& map) {
  static_assert(kMaxJoinPoints <= kFirstAnnotation);
  Serialised serialised;
  if (remembered == nullptr) remembered = new std::vector<Remembered>;
  uint64_t generation = 0;
  for_each_elf_module(note_generation, &generation);
  auto known = std::find_if(remembered->begin(), remembered->end(),
                            [&](const Remembered& entry) { return entry.map == &map; });
  if (known != remembered->end() && known->generation == generation) return known->installed;

  Installation installation{map, {}, {}, {}, {}, {}, 0};
  for (const JoinPoint& join_point : map.join_points) {
    installation.states.push_back({SymbolPattern(join_point.function), false, 0, 0, {}});
  }
  for_each_elf_module(collect_module, &installation);
  drop_wide(installation);
  for (Target& target : installation.targets) {
    target.stub = take_stub(installation, target, &installation.states[target.join_point].problem);
    const void* global = dlsym(RTLD_DEFAULT, target.symbol.c_str());
    target.binds_globally =
        global == nullptr || reinterpret_cast<uintptr_t>(global) == target.function;
    installation.by_symbol.emplace(target.symbol, &target);
    if (target.stub < 0) continue;
    installation.by_address.emplace(target.function, &target);
    installation.by_address.emplace(stub_address(target.stub), &target);
  }
  for_each_elf_module(point_module_at_stubs, &installation);

  Remembered entry{&map, installation.generation, summary(installation)};
  if (known != remembered->end()) *known = entry;
  else remembered->push_back(entry);
  return entry.installed;
}

namespace {

// A reference may be replaced where it leads to the hook (libauxin), to the target's module, to the
// next definition after the hook (libc), or nowhere yet. A fourth place is another interposer's.
struct Replaceable {
  Rebinding* rebinding;
  uintptr_t next;              // the definition after libauxin's
  bool global_is_replaceable;  // what an unresolved reference would bind to
};

struct RebindingPass {
  std::unordered_map<std::string_view, Replaceable> by_symbol;
  std::vector<std::pair<uintptr_t, uintptr_t>> extents;  // of all modules
  std::pair<uintptr_t, uintptr_t> ourselves;
  const ElfModule* module = nullptr;
  ModuleWriter* writer = nullptr;

  // Whether `value` leads to where `entry` may be taken from.
  bool may_replace(const Replaceable& entry, uintptr_t value) const {
    if (value >= ourselves.first && value < ourselves.second) return true;
    const auto target = reinterpret_cast<uintptr_t>(entry.rebinding->target);
    for (const auto& [begin, end] : extents) {
      if (value < begin || value >= end) continue;
      return (target >= begin && target < end) ||
             (entry.next != 0 && entry.next >= begin && entry.next < end);
    }
    return false;
  }
};

void note_extent(const ElfModule& module, void* context) {
  RebindingPass& pass = *static_cast<RebindingPass*>(context);
  pass.extents.emplace_back(module.begin, module.end);
  if (is_ourselves(module)) pass.ourselves = {module.begin, module.end};
}

void rebind_reference(const FunctionReference& reference, void* context) {
  RebindingPass& pass = *static_cast<RebindingPass*>(context);
  if (reference.symbol == nullptr) return;
  const auto known = pass.by_symbol.find(reference.symbol);
  if (known == pass.by_symbol.end()) return;
  Replaceable& entry = known->second;
  const uintptr_t value = __atomic_load_n(reference.word, __ATOMIC_RELAXED);
  const auto target = reinterpret_cast<uintptr_t>(entry.rebinding->target);
  if (value == target || is_stand_in(value)) return;
  const bool lazy = reference.procedure_linkage && leads_to_resolver(*pass.module, value);
  if (lazy ? !entry.global_is_replaceable : !pass.may_replace(entry, value)) return;
  if (pass.writer->write(reference.word, target)) ++entry.rebinding->changed;
}

void rebind_module(const ElfModule& module, void* context) {
  RebindingPass& pass = *static_cast<RebindingPass*>(context);
  if (is_ourselves(module)) return;
  ModuleWriter writer(module);
  pass.module = &module;
  pass.writer = &writer;
  for_each_function_reference(module, rebind_reference, &pass);
}

}  // namespace

void rebind(std::span<Rebinding> rebindings) {
  Serialised serialised;
  RebindingPass pass;
  for_each_elf_module(note_extent, &pass);
  for (Rebinding& rebinding : rebindings) {
    Replaceable entry{&rebinding, 0, true};
    entry.next = reinterpret_cast<uintptr_t>(dlsym(RTLD_NEXT, rebinding.symbol));
    const auto global = reinterpret_cast<uintptr_t>(dlsym(RTLD_DEFAULT, rebinding.symbol));
    entry.global_is_replaceable = global == 0 || pass.may_replace(entry, global);
    pass.by_symbol.emplace(rebinding.symbol, entry);
  }
  for_each_elf_module(rebind_module, &pass);
}

int rebind(const char* symbol, void* target) {
  Rebinding one{symbol, target};
  rebind({&one, 1});
  return one.changed;
}

}  // namespace auxin::markers
