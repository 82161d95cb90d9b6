// SPDX-License-Identifier: Apache-2.0
#include "ferry/registry.h"

namespace ferry {

std::string Registry::activate(std::shared_ptr<Servant> servant, const std::string& key) {
  Holding hold(lock_);
  ++activated_;
  const std::string name = key.empty() ? "object-" + std::to_string(activated_) : key;
  servants_[name] = std::move(servant);
  return name;
}

std::shared_ptr<Servant> Registry::find(const std::string& key) {
  Holding hold(lock_);
  const auto found = servants_.find(key);
  return found == servants_.end() ? nullptr : found->second;
}

bool Registry::deactivate(const std::string& key) {
  Holding hold(lock_);
  return servants_.erase(key) > 0;
}

}  // namespace ferry
