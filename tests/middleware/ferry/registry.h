// SPDX-License-Identifier: Apache-2.0
//
// Which objects there are. The order of activation shows: it is in the keys.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "ferry/lock.h"
#include "ferry/wire.h"

namespace ferry {

class Servant {
 public:
  virtual ~Servant() = default;
  // False: there is no such operation, or its arguments are wrong. Several threads may be in it.
  virtual bool call(const std::string& operation, Input& arguments, Output& results) = 0;
};

class Registry {
 public:
  // Its key: the one that was asked for, or "object-N".
  std::string activate(std::shared_ptr<Servant> servant, const std::string& key = "");
  std::shared_ptr<Servant> find(const std::string& key);  // null: there is none
  bool deactivate(const std::string& key);

 private:
  Lock lock_;
  std::map<std::string, std::shared_ptr<Servant>> servants_;
  uint64_t activated_ = 0;
};

}  // namespace ferry
