// SPDX-License-Identifier: Apache-2.0
#include "analysis/proposal/layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

namespace auxin::analysis {
namespace {

namespace fs = std::filesystem;

// What libraries of one family have in common at the start of their names, beyond "lib".
constexpr size_t kFamilyLetters = 4;

bool needs(const LinkedModule& module, const std::string& soname) {
  return std::find(module.needed.begin(), module.needed.end(), soname) != module.needed.end();
}

std::string family_of(const std::string& name) {
  return name.substr(0, std::min(name.size(), 3 + kFamilyLetters));
}

// What the module needs, and what that needs.
void add_needed(const Linkage& linkage, const LinkedModule& module, std::set<std::string>& names) {
  for (const std::string& soname : module.needed) {
    const LinkedModule* needed = linkage.find(soname);
    if (needed == nullptr || !names.insert(needed->name()).second) continue;
    add_needed(linkage, *needed, names);
  }
}

// Libraries of the family that no run need have loaded: beside the middleware's own file.
void add_siblings(const LinkedModule& middleware, std::set<std::string>& patterns, Layers& layers) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(fs::path(middleware.path).parent_path(), error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(family_of(middleware.name())) || name.find(".so.") == name.npos) continue;
    if (entry.is_symlink(error)) continue;
    const Linkage file = Linkage::read({TraceModule{entry.path().string(), 0, 0, 0}});
    if (!needs(file.modules()[0], middleware.name())) continue;
    const std::string pattern = library_pattern(file.modules()[0].name());
    if (!patterns.insert(pattern).second) continue;
    layers.infrastructure.push_back(
        {pattern, fmt::format("stands beside {}, has a name of its family and needs it",
                              middleware.name())});
  }
}

}  // namespace

std::string library_pattern(const std::string& name) {
  const size_t suffix = name.find(".so");
  return suffix == name.npos ? name : name.substr(0, suffix) + ".so*";
}

Layers find_layers(const Linkage& linkage, const std::string& middleware) {
  Layers layers;
  layers.of_module.assign(linkage.modules().size(), Layer::kApplication);
  const LinkedModule* main = linkage.find(middleware);
  if (main == nullptr) return layers;
  std::set<std::string> below;
  add_needed(linkage, *main, below);
  std::set<std::string> patterns;
  const auto found = [&](Layer layer, const LinkedModule& module, std::string evidence) {
    const std::string pattern = library_pattern(module.name());
    if (!patterns.insert(pattern).second) return;
    (layer == Layer::kConduit ? layers.conduits : layers.infrastructure)
        .push_back({pattern, std::move(evidence)});
  };
  for (size_t i = 0; i < linkage.modules().size(); ++i) {
    const LinkedModule& module = linkage.modules()[i];
    if (&module == main) {
      layers.of_module[i] = Layer::kInfrastructure;
      found(Layer::kInfrastructure, module, "has the function that brackets a request");
    } else if (needs(module, main->name()) &&
               family_of(module.name()) == family_of(main->name())) {
      layers.of_module[i] = Layer::kInfrastructure;
      found(Layer::kInfrastructure, module,
            fmt::format("needs {} and has a name of its family", main->name()));
    } else if (below.contains(module.name())) {
      layers.of_module[i] = Layer::kConduit;
      found(Layer::kConduit, module, fmt::format("{} stands on it", main->name()));
    } else if (module.name().starts_with("ld-linux") || module.name().starts_with("libauxin") ||
               module.name().starts_with("linux-vdso")) {
      layers.of_module[i] = Layer::kConduit;
    }
  }
  add_siblings(*main, patterns, layers);
  return layers;
}

}  // namespace auxin::analysis
