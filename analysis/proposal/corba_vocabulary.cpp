// SPDX-License-Identifier: Apache-2.0
#include "analysis/proposal/corba_vocabulary.h"

#include <algorithm>

namespace auxin::analysis {
namespace {

struct Word {
  std::string_view operation;
  Meaning meaning;
};

constexpr Word kWords[] = {
    // PortableServer::POA, what is active and under which id
    {"activate_object", Meaning::kObjectTable},
    {"activate_object_with_id", Meaning::kObjectTable},
    {"deactivate_object", Meaning::kObjectTable},
    {"create_reference", Meaning::kObjectTable},
    {"servant_to_id", Meaning::kObjectTable},
    {"servant_to_reference", Meaning::kObjectTable},
    {"reference_to_servant", Meaning::kObjectTable},
    {"id_to_servant", Meaning::kObjectTable},
    {"id_to_reference", Meaning::kObjectTable},
    {"get_servant", Meaning::kObjectTable},
    {"set_servant", Meaning::kObjectTable},
    // The C++ mapping's _this() of a servant activates implicitly.
    {"_this", Meaning::kObjectTable},
    {"_do_this", Meaning::kObjectTable},
    {"create_POA", Meaning::kAdapterTree},
    // Depends on its arguments alone
    {"create_reference_with_id", Meaning::kNoOrder},
    {"reference_to_id", Meaning::kNoOrder},
    {"find_POA", Meaning::kBlocks},
    {"destroy", Meaning::kBlocks},
    {"shutdown", Meaning::kBlocks},
    {"perform_work", Meaning::kBlocks},
    {"run", Meaning::kBlocks},
};

// Where the arguments begin: the last parenthesis on the outermost level.
size_t end_of_name(const std::string& function) {
  int depth = 0;
  for (size_t i = 0; i < function.size(); ++i) {
    const char c = function[i];
    if (c == '<') ++depth;
    if (c == '>' && depth > 0) --depth;
    if (c == '(' && depth == 0) return i;
  }
  return function.size();
}

}  // namespace

Meaning meaning_of(std::string_view operation) {
  const auto* word = std::find_if(std::begin(kWords), std::end(kWords), [&](const Word& known) {
    return known.operation == operation;
  });
  return word == std::end(kWords) ? Meaning::kNone : word->meaning;
}

std::string operation_of(const std::string& function) {
  const std::string name = function.substr(0, end_of_name(function));
  const size_t colons = name.rfind("::");
  return colons == name.npos ? name : name.substr(colons + 2);
}

std::string class_of_operation(const std::string& function) {
  const std::string name = function.substr(0, end_of_name(function));
  const size_t colons = name.rfind("::");
  return colons == name.npos ? "" : name.substr(0, colons);
}

}  // namespace auxin::analysis
