// SPDX-License-Identifier: Apache-2.0
//
// Goes through one translation unit and notes its structure: what is declared outside of system
// headers, and the classes that it derives from wherever they are.
//
// Thread safety: one thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "analysis/structure/reader/libclang.h"
#include "analysis/structure/structure.h"

namespace auxin::analysis::reader {

class UnitVisitor {
 public:
  UnitVisitor(const Libclang& clang, CXTranslationUnit unit) : clang_(clang), unit_(unit) {}

  Structure visit();

 private:
  template <typename Visit>
  void children(CXCursor cursor, Visit visit) const;

  void declarations(CXCursor parent);
  void declaration(CXCursor cursor);
  void add_class(CXCursor cursor);
  void add_bases_and_members(CXCursor cursor, StructureClass& it);
  void add_function(CXCursor cursor);
  void add_variable(CXCursor cursor);
  // `function`: its index; what is below `cursor` is in its body.
  void body(CXCursor cursor, size_t function);
  void expression(CXCursor cursor, size_t function);
  void add_lambda(CXCursor cursor, size_t function);
  void add_call(size_t function, CXCursor target, CXCursor where, bool is_virtual);
  void mention(size_t function, CXCursor object, CXCursor where);

  size_t new_function(StructureFunction made);
  CXCursor pattern_of(CXCursor cursor) const;  // of an instance; otherwise itself
  std::string key_of(CXCursor cursor) const;
  std::string qualified(CXCursor cursor) const;
  std::string spelling(CXCursor cursor) const;
  std::string type_of(CXCursor cursor) const;  // as it is written
  Place place_of(CXCursor cursor) const;
  bool in_system_header(CXCursor cursor) const;
  bool is_pattern(CXCursor cursor) const;  // of a template, whatever it stands in
  std::vector<std::string> symbols_of(CXCursor cursor) const;
  SynchronisationKind synchronisation_of(CXCursor cursor) const;

  const Libclang& clang_;
  CXTranslationUnit unit_;
  Structure structure_;
  std::set<std::string> classes_;
  mutable std::map<std::string, std::string> absolute_;  // by a file's name as clang has it
  std::map<size_t, std::map<std::string, unsigned>> lambdas_;  // per function and parameters
  std::map<size_t, std::set<std::string>> calls_, mentions_;   // per function: what it has already
};

}  // namespace auxin::analysis::reader
