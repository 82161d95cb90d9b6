// SPDX-License-Identifier: Apache-2.0
//
// Classes of a structure and what they derive from, and the objects that they hold.
//
// Thread safety: immutable once made. The structure must outlive it.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "analysis/structure/structure.h"

namespace auxin::analysis {

class Ancestry {
 public:
  explicit Ancestry(const Structure& structure);

  // Names: the class itself, then what it derives from, nearest first; empty: no such class.
  std::vector<std::string> of_class(const std::string& key) const;
  // The same for the class that `object` ("bank::Account::mutex_") is a member of.
  std::vector<std::string> of_object(const std::string& object) const;
  Place place_of(const std::string& object) const;  // an empty one: there is no such object
  SynchronisationKind kind_of(const std::string& object) const;

 private:
  std::map<std::string, const StructureClass*> by_key_;
  std::map<std::string, const StructureClass*> class_of_object_;
  std::map<std::string, std::pair<Place, SynchronisationKind>> objects_;
};

}  // namespace auxin::analysis
