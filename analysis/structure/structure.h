// SPDX-License-Identifier: Apache-2.0
//
// The structure of a program, from its sources: classes with their bases and members, functions
// with what they call and which synchronisation objects they mention, and such objects outside of
// classes.
//
// What several translation units declare is one thing here: each has a key (clang's unified symbol
// resolution) that is the same in all of them. Programs that share a tree may have different
// functions of one key (`main`); those differ by their place.
//
// Thread safety: a value. Source: CosmOpen's structural extraction (paper 004, slide 39).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "analysis/structure/place.h"
#include "analysis/structure/synchronisation_types.h"

namespace auxin::analysis {

struct StructureMember {
  std::string name, type;
  Place place;
  SynchronisationKind synchronisation = SynchronisationKind::kNone;
};

struct StructureClass {
  std::string key, name;  // "bank::Account"; of a template without its arguments
  Place place;
  std::vector<std::string> bases;  // keys
  std::vector<StructureMember> members;
};

struct StructureCall {
  std::string key;  // of the function, class (its name is used) or variable
  uint32_t line = 0;
  bool is_virtual = false;  // an override may be called instead
};

// What is named in a function: "bank::Account::mutex_".
struct StructureMention {
  std::string object;
  uint32_t line = 0;
};

// A lambda is a function of its own, which the function that it stands in calls. So is the
// initialiser of a variable outside of functions.
struct StructureFunction {
  std::string key;
  std::string name;                  // "bank::Account::deposit"; of a lambda "f::{lambda(int)#1}"
  std::string class_key;             // "": in none
  std::vector<std::string> symbols;  // the linker's; none: a template, a lambda, an initialiser
  Place place;
  bool is_virtual = false, is_constructor = false;
  std::vector<std::string> overrides;  // keys
  std::vector<StructureCall> calls;
  std::vector<StructureMention> mentions;
};

// A synchronisation object outside of classes, or one that all objects of a class share.
struct StructureVariable {
  std::string name, type;
  Place place;
  SynchronisationKind synchronisation = SynchronisationKind::kNone;
};

// A translation unit that gave nothing, or not all.
struct StructureFailure {
  std::string file, reason;
};

struct Structure {
  std::vector<StructureClass> classes;
  std::vector<StructureFunction> functions;
  std::vector<StructureVariable> variables;
  std::vector<StructureFailure> failures;
  std::vector<std::string> remarks;  // sentences on the compilation database
  uint64_t units = 0;                // that were read
};

// Puts units together. They share their headers: each thing is taken once.
class StructureMerger {
 public:
  void add(Structure unit);
  Structure take();  // in the order of the sources

 private:
  using Identity = std::tuple<std::string, Place>;

  Structure merged_;
  std::set<Identity> classes_, functions_, variables_;
};

}  // namespace auxin::analysis
