// SPDX-License-Identifier: Apache-2.0
#include "analysis/structure/reader/unit_visitor.h"

#include <fmt/format.h>

#include <filesystem>

namespace auxin::analysis::reader {
namespace {

bool is_class(CXCursorKind kind) {
  return kind == CXCursor_ClassDecl || kind == CXCursor_StructDecl || kind == CXCursor_UnionDecl ||
         kind == CXCursor_ClassTemplate || kind == CXCursor_ClassTemplatePartialSpecialization;
}

bool is_function(CXCursorKind kind) {
  return kind == CXCursor_FunctionDecl || kind == CXCursor_CXXMethod ||
         kind == CXCursor_Constructor || kind == CXCursor_Destructor ||
         kind == CXCursor_ConversionFunction || kind == CXCursor_FunctionTemplate;
}

}  // namespace

template <typename Visit>
void UnitVisitor::children(CXCursor cursor, Visit visit) const {
  clang_.visitChildren(
      cursor,
      [](CXCursor child, CXCursor, CXClientData data) {
        (*static_cast<Visit*>(data))(child);
        return CXChildVisit_Continue;
      },
      &visit);
}

Structure UnitVisitor::visit() {
  declarations(clang_.getTranslationUnitCursor(unit_));
  structure_.units = 1;
  return std::move(structure_);
}

void UnitVisitor::declarations(CXCursor parent) {
  children(parent, [this](CXCursor cursor) {
    if (!in_system_header(cursor)) declaration(cursor);
  });
}

void UnitVisitor::declaration(CXCursor cursor) {
  const CXCursorKind kind = clang_.getCursorKind(cursor);
  if (is_class(kind)) {
    add_class(cursor);
    declarations(cursor);
  } else if (is_function(kind)) {
    if (clang_.isCursorDefinition(cursor) != 0) add_function(cursor);
  } else if (kind == CXCursor_VarDecl) {
    add_variable(cursor);
  } else if (kind == CXCursor_Namespace || kind == CXCursor_LinkageSpec ||
             kind == CXCursor_UnexposedDecl) {  // the last: extern "C" { … }
    declarations(cursor);
  }
}

void UnitVisitor::add_class(CXCursor cursor) {
  if (clang_.isCursorDefinition(cursor) == 0) return;
  StructureClass it;
  it.key = key_of(cursor);
  if (it.key.empty() || !classes_.insert(it.key).second) return;
  it.name = qualified(cursor);
  it.place = place_of(cursor);
  add_bases_and_members(cursor, it);
  structure_.classes.push_back(std::move(it));
}

void UnitVisitor::add_bases_and_members(CXCursor cursor, StructureClass& it) {
  children(cursor, [&](CXCursor child) {
    const CXCursorKind kind = clang_.getCursorKind(child);
    if (kind == CXCursor_CXXBaseSpecifier) {
      const CXType type = clang_.getCanonicalType(clang_.getCursorType(child));
      CXCursor base = clang_.getTypeDeclaration(type);
      if (clang_.Cursor_isNull(base) == 0) base = pattern_of(base);
      if (clang_.Cursor_isNull(base) != 0 || clang_.isInvalid(clang_.getCursorKind(base)) != 0) {
        // "class Stack : Base<T>": only the template is known.
        children(child, [&](CXCursor reference) {
          if (clang_.getCursorKind(reference) == CXCursor_TemplateRef) {
            base = clang_.getCursorReferenced(reference);
          }
        });
      }
      if (clang_.Cursor_isNull(base) != 0) return;
      const CXCursor definition = clang_.getCursorDefinition(base);
      if (clang_.Cursor_isNull(definition) == 0) base = definition;
      if (std::string key = key_of(base); !key.empty()) it.bases.push_back(std::move(key));
      add_class(base);
    } else if (kind == CXCursor_FieldDecl) {
      it.members.push_back(
          {spelling(child), type_of(child), place_of(child), synchronisation_of(child)});
    }
  });
}

size_t UnitVisitor::new_function(StructureFunction made) {
  structure_.functions.push_back(std::move(made));
  return structure_.functions.size() - 1;
}

void UnitVisitor::add_function(CXCursor cursor) {
  StructureFunction it;
  it.key = key_of(cursor);
  it.name = qualified(cursor);
  it.place = place_of(cursor);
  const CXCursor parent = clang_.getCursorSemanticParent(cursor);
  if (is_class(clang_.getCursorKind(parent))) {
    it.class_key = key_of(parent);
    add_class(parent);
  }
  it.is_virtual = clang_.CXXMethod_isVirtual(cursor) != 0;
  it.is_constructor = clang_.getCursorKind(cursor) == CXCursor_Constructor;
  if (!is_pattern(cursor)) it.symbols = symbols_of(cursor);
  CXCursor* overridden = nullptr;
  unsigned count = 0;
  clang_.getOverriddenCursors(cursor, &overridden, &count);
  for (unsigned i = 0; i < count; ++i) it.overrides.push_back(key_of(overridden[i]));
  if (overridden != nullptr) clang_.disposeOverriddenCursors(overridden);
  body(cursor, new_function(std::move(it)));
}

// A variable outside of functions: an object that one may lock, or a table of functions.
void UnitVisitor::add_variable(CXCursor cursor) {
  const SynchronisationKind kind = synchronisation_of(cursor);
  if (kind != SynchronisationKind::kNone) {
    structure_.variables.push_back({qualified(cursor), type_of(cursor), place_of(cursor), kind});
    return;
  }
  StructureFunction initialiser;
  initialiser.key = key_of(cursor);
  initialiser.name = qualified(cursor);
  initialiser.place = place_of(cursor);
  const size_t index = new_function(std::move(initialiser));
  body(cursor, index);
  // Most initialise with a value: they say nothing.
  if (index + 1 == structure_.functions.size() && structure_.functions[index].calls.empty() &&
      structure_.functions[index].mentions.empty()) {
    structure_.functions.pop_back();
    calls_.erase(index);
    mentions_.erase(index);
  }
}

void UnitVisitor::body(CXCursor cursor, size_t function) {
  children(cursor, [&](CXCursor child) { expression(child, function); });
}

void UnitVisitor::expression(CXCursor cursor, size_t function) {
  const CXCursorKind kind = clang_.getCursorKind(cursor);
  if (kind == CXCursor_LambdaExpr) {
    add_lambda(cursor, function);
    return;
  }
  if (is_class(kind)) {  // a local one
    declaration(cursor);
    return;
  }
  if (kind == CXCursor_VarDecl) {
    const SynchronisationKind synchronisation = synchronisation_of(cursor);
    if (synchronisation != SynchronisationKind::kNone) {
      structure_.variables.push_back(
          {structure_.functions[function].name + "::" + spelling(cursor), type_of(cursor),
           place_of(cursor), synchronisation});
    }
  } else if (kind == CXCursor_CallExpr) {
    add_call(function, clang_.getCursorReferenced(cursor), cursor,
             clang_.Cursor_isDynamicCall(cursor) != 0);
  } else if (kind == CXCursor_DeclRefExpr || kind == CXCursor_MemberRefExpr ||
             kind == CXCursor_MemberRef) {
    const CXCursor target = clang_.getCursorReferenced(cursor);
    const CXCursorKind referenced = clang_.getCursorKind(target);
    if (referenced == CXCursor_FieldDecl || referenced == CXCursor_VarDecl) {
      mention(function, target, cursor);
    }
    if (referenced == CXCursor_VarDecl || is_function(referenced)) {
      // The call itself, which is seen first, knows whether it is a virtual one.
      add_call(function, target, cursor, false);
    }
  } else if (kind == CXCursor_TypeRef || kind == CXCursor_TemplateRef) {
    const CXCursor target = clang_.getCursorReferenced(cursor);
    if (is_class(clang_.getCursorKind(target))) add_call(function, target, cursor, false);
  }
  body(cursor, function);
}

void UnitVisitor::add_lambda(CXCursor cursor, size_t function) {
  std::string parameters;
  children(cursor, [&](CXCursor child) {
    if (clang_.getCursorKind(child) != CXCursor_ParmDecl) return;
    parameters += (parameters.empty() ? "" : ", ") +
                  clang_.text(clang_.getTypeSpelling(
                      clang_.getCanonicalType(clang_.getCursorType(child))));
  });
  const unsigned ordinal = ++lambdas_[function][parameters];
  const StructureFunction& outer = structure_.functions[function];
  StructureFunction it;
  it.name = fmt::format("{}::{{lambda({})#{}}}", outer.name, parameters, ordinal);
  it.key = fmt::format("{}/lambda({})#{}", outer.key, parameters, ordinal);
  it.class_key = outer.class_key;
  it.place = place_of(cursor);
  const Place place = it.place;
  const std::string key = it.key;
  const size_t index = new_function(std::move(it));
  structure_.functions[function].calls.push_back({key, place.line, false});
  body(cursor, index);
}

void UnitVisitor::add_call(size_t function, CXCursor target, CXCursor where, bool is_virtual) {
  if (clang_.Cursor_isNull(target) != 0 || clang_.isInvalid(clang_.getCursorKind(target)) != 0) {
    return;
  }
  target = pattern_of(target);
  // Into the libraries nobody follows, nor into what the compiler makes itself.
  if ((in_system_header(target) && !is_virtual) || place_of(target).file.empty()) return;
  if (clang_.getCursorKind(target) == CXCursor_VarDecl &&
      is_function(clang_.getCursorKind(clang_.getCursorSemanticParent(target)))) {
    return;  // a local variable
  }
  std::string key = key_of(target);
  if (key == structure_.functions[function].class_key) return;  // "Account::", before its own name
  if (key.empty() || !calls_[function].insert(key).second) return;
  structure_.functions[function].calls.push_back(
      {std::move(key), place_of(where).line, is_virtual});
}

void UnitVisitor::mention(size_t function, CXCursor object, CXCursor where) {
  if (synchronisation_of(object) == SynchronisationKind::kNone) return;
  std::string name = qualified(object);
  if (!mentions_[function].insert(name).second) return;
  structure_.functions[function].mentions.push_back({std::move(name), place_of(where).line});
}

CXCursor UnitVisitor::pattern_of(CXCursor cursor) const {
  // A member template of a class template is the pattern of a pattern.
  for (;;) {
    const CXCursor pattern = clang_.getSpecializedCursorTemplate(cursor);
    if (clang_.Cursor_isNull(pattern) != 0) return cursor;
    cursor = pattern;
  }
}

std::string UnitVisitor::key_of(CXCursor cursor) const {
  return clang_.text(clang_.getCursorUSR(cursor));
}

std::string UnitVisitor::spelling(CXCursor cursor) const {
  return clang_.text(clang_.getCursorSpelling(cursor));
}

std::string UnitVisitor::type_of(CXCursor cursor) const {
  return clang_.text(clang_.getTypeSpelling(clang_.getCursorType(cursor)));
}

// As the demangler writes it, without template arguments.
std::string UnitVisitor::qualified(CXCursor cursor) const {
  std::string name;
  for (CXCursor at = cursor; clang_.Cursor_isNull(at) == 0;
       at = clang_.getCursorSemanticParent(at)) {
    const CXCursorKind kind = clang_.getCursorKind(at);
    if (kind == CXCursor_TranslationUnit || clang_.isInvalid(kind) != 0) break;
    if (kind == CXCursor_LinkageSpec || kind == CXCursor_UnexposedDecl) continue;
    std::string part = spelling(at);
    if (kind == CXCursor_Namespace && part.empty()) part = "(anonymous namespace)";
    if (is_class(kind) && (part.empty() || clang_.Cursor_isAnonymous(at) != 0)) {
      part = "(unnamed)";
    }
    if (is_class(kind) || is_function(kind)) {
      // "Stack<T>::Stack<T>", as constructors of templates are spelled.
      const bool is_operator = part.starts_with("operator");
      if (const size_t angle = part.find('<'); !is_operator && angle != part.npos && angle > 0) {
        part.resize(angle);
      }
    }
    name = name.empty() ? part : part + "::" + name;
  }
  return name;
}

Place UnitVisitor::place_of(CXCursor cursor) const {
  CXFile file = nullptr;
  unsigned line = 0;
  clang_.getExpansionLocation(clang_.getCursorLocation(cursor), &file, &line, nullptr, nullptr);
  if (file == nullptr) return {};
  std::string name = clang_.text(clang_.getFileName(file));
  // "../src/a.h" of one unit is "src/a.h" of another.
  std::string& absolute = absolute_[name];
  if (absolute.empty()) absolute = std::filesystem::absolute(name).lexically_normal().string();
  return {absolute, line};
}

bool UnitVisitor::in_system_header(CXCursor cursor) const {
  return clang_.Location_isInSystemHeader(clang_.getCursorLocation(cursor)) != 0;
}

bool UnitVisitor::is_pattern(CXCursor cursor) const {
  for (CXCursor at = cursor; clang_.Cursor_isNull(at) == 0;
       at = clang_.getCursorSemanticParent(at)) {
    const CXCursorKind kind = clang_.getCursorKind(at);
    if (kind == CXCursor_FunctionTemplate || kind == CXCursor_ClassTemplate ||
        kind == CXCursor_ClassTemplatePartialSpecialization) {
      return true;
    }
    if (kind == CXCursor_TranslationUnit || clang_.isInvalid(kind) != 0) break;
  }
  return false;
}

std::vector<std::string> UnitVisitor::symbols_of(CXCursor cursor) const {
  std::vector<std::string> symbols;
  const CXCursorKind kind = clang_.getCursorKind(cursor);
  if (kind == CXCursor_Constructor || kind == CXCursor_Destructor) {
    if (CXStringSet* all = clang_.Cursor_getCXXManglings(cursor)) {
      for (unsigned i = 0; i < all->Count; ++i) {
        if (const char* text = clang_.getCString(all->Strings[i])) symbols.emplace_back(text);
      }
      clang_.disposeStringSet(all);
    }
    return symbols;
  }
  std::string symbol = clang_.text(clang_.Cursor_getMangling(cursor));
  if (!symbol.empty()) symbols.push_back(std::move(symbol));
  return symbols;
}

SynchronisationKind UnitVisitor::synchronisation_of(CXCursor cursor) const {
  const CXType canonical = clang_.getCanonicalType(clang_.getCursorType(cursor));
  return synchronisation_of_type(type_of(cursor), clang_.text(clang_.getTypeSpelling(canonical)));
}

}  // namespace auxin::analysis::reader
