// SPDX-License-Identifier: Apache-2.0
#include "analysis/proposal/named_functions.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "analysis/proposal/corba_vocabulary.h"
#include "analysis/trace/symbols.h"

namespace auxin::analysis {
namespace {

struct Name {
  const char* join_point;
  const char* role;
  // All must be in the class's name or in the function's own, letters of any case; "": none.
  std::string_view class_words[3];
  std::string_view function_words[2];
  std::string_view arguments;  // "*": any
  bool constructor;
  Layer layer;
  bool follower_skips;
  int skip_result;
  const char* evidence;
};

constexpr Name kNames[] = {
    {"memory-stream", "memory-stream", {"memory", "stream", ""}, {"", ""}, "(unsigned int, bool)",
     true, Layer::kInfrastructure, false, 0,
     "by its name alone: a stream into memory, and whether that is cleared"},
    {"idle-counter", "suppressed", {"", "", ""}, {"start", "idle"}, "()", false,
     Layer::kInfrastructure, true, 1,
     "by its name alone: connections that are idle for long are closed at a time of each replica's "
     "own"},
    {"local-endpoint", "value-source", {"unix", "transport", ""}, {"endpoint", ""}, "*", false,
     Layer::kInfrastructure, false, 0,
     "by its name alone: the name of a local endpoint is made, with what makes it unique"},
    {"recursive-mutex", "mutex-factory", {"rmutex", "", ""}, {"", ""}, "()", true,
     Layer::kInfrastructure, false, 0,
     "by its name alone: a recursive mutex, as an adapter has that runs one request at a time"},
    {"semaphore", "mutex-factory", {"semaphore", "", ""}, {"", ""}, "*", true, Layer::kConduit,
     false, 0,
     "by its name alone: a semaphore of a library that the application uses, with a lock inside"},
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

template <size_t n>
bool has_all(const std::string& text, const std::string_view (&words)[n]) {
  return std::all_of(std::begin(words), std::end(words), [&](std::string_view word) {
    return text.find(word) != text.npos;
  });
}

bool fits(const Name& name, const std::string& function) {
  const std::string class_name = class_of_operation(function);
  const std::string own = operation_of(function);
  if (name.constructor && own != operation_of(class_name)) return false;
  if (!name.constructor && own == operation_of(class_name)) return false;
  if (own.starts_with("~") || own.starts_with("operator")) return false;
  if (!has_all(lower(operation_of(class_name)), name.class_words) ||
      !has_all(lower(own), name.function_words)) {
    return false;
  }
  const size_t arguments = function.find(own + "(");
  return name.arguments == "*" ||
         (arguments != function.npos &&
          function.substr(arguments + own.size()) == name.arguments);
}

}  // namespace

std::vector<ProposedJoinPoint> find_by_name(const Linkage& linkage, const Layers& layers) {
  std::vector<ProposedJoinPoint> points;
  for (size_t i = 0; i < linkage.modules().size(); ++i) {
    const LinkedModule& module = linkage.modules()[i];
    const Layer layer = layers.of(static_cast<uint32_t>(i));
    // What everything stands on is no middleware's.
    if (layer == Layer::kApplication || module.name().starts_with("libstdc++") ||
        module.name().starts_with("libc.so") || module.name().starts_with("libauxin")) {
      continue;
    }
    for (const std::string& symbol : module.functions) {
      // What only applications call, this one may not.
      if (layer != Layer::kConduit && !linkage.interceptable(symbol)) continue;
      if (symbol.starts_with("_ZT")) continue;
      const std::string function = demangled(symbol);
      for (const Name& name : kNames) {
        // A lock's class may be in either: in the thread library, or in the middleware itself.
        const bool any_layer = std::string_view(name.role) == "mutex-factory";
        if ((!any_layer && layer != name.layer) || !fits(name, function)) continue;
        ProposedJoinPoint point;
        point.name = name.join_point;
        point.role = name.role;
        point.function = function;
        point.library = library_pattern(module.name());
        point.optional = true;
        point.follower_skips = name.follower_skips;
        point.skip_result = name.skip_result;
        point.evidence = {name.evidence};
        const auto same = [&](const ProposedJoinPoint& other) {
          return other.function == point.function;
        };
        // A constructor has several symbols under one name.
        if (std::none_of(points.begin(), points.end(), same)) points.push_back(std::move(point));
      }
    }
  }
  return points;
}

}  // namespace auxin::analysis
