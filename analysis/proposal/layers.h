// SPDX-License-Identifier: Apache-2.0
//
// What each module of a trace is, seen from the function that brackets a request: the middleware
// (its library and those of the same family that are built on it), what both sides stand on, and
// the application, which is everything else. maps/FORMAT.md, [modules].
#pragma once

#include <string>
#include <vector>

#include "analysis/proposal/linkage.h"

namespace auxin::analysis {

enum class Layer : uint8_t { kApplication, kInfrastructure, kConduit };

struct LayerFinding {
  std::string pattern;   // for the map: "libtoy.so*"
  std::string evidence;  // a sentence
};

struct Layers {
  std::vector<Layer> of_module;  // by the index of the trace's modules
  std::vector<LayerFinding> infrastructure, conduits;

  Layer of(uint32_t module) const {
    return module < of_module.size() ? of_module[module] : Layer::kConduit;
  }
};

// `middleware`: the soname of the library that has the dispatcher.
Layers find_layers(const Linkage& linkage, const std::string& middleware);

// "libtoy.so.1.2" → "libtoy.so*".
std::string library_pattern(const std::string& name);

}  // namespace auxin::analysis
