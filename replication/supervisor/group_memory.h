// SPDX-License-Identifier: Apache-2.0
//
// A group's stable memory as the supervisor and the command see it: its words and its log.
//
// Thread safety: as StableMemory; the words themselves are for everyone (group_state.h).
#pragma once

#include <memory>
#include <string>

#include "replication/group_state.h"
#include "replication/supervisor/configuration.h"
#include "stmemu/result.h"
#include "stmemu/log/stable_log.h"
#include "stmemu/log/stable_memory.h"

namespace auxin::supervisor {

class GroupMemory {
 public:
  // A new memory with an empty log, all locks free and all replicas absent. Errors are sentences.
  static Result<GroupMemory> create(const std::string& path, const std::string& name,
                                    const stm::Layout& layout,
                                    const replication::Settings& settings);
  // An existing one, no symbolic link, whose words make sense. `read_only`: the words and the log
  // only to look at.
  static Result<GroupMemory> open(const std::string& path, bool read_only);

  replication::GroupControl& control() {
    return *static_cast<replication::GroupControl*>(memory_->control());
  }
  const replication::GroupControl& control() const {
    return *static_cast<const replication::GroupControl*>(memory_->control());
  }
  const stm::StableLog& log() const { return *log_; }
  stm::StableLog& log() { return *log_; }
  const stm::StableMemory& memory() const { return *memory_; }

 private:
  explicit GroupMemory(stm::StableMemory memory);

  std::unique_ptr<stm::StableMemory> memory_;  // its address is the log's
  std::unique_ptr<stm::StableLog> log_;
};

// The settings that the replicas read, from configuration. `map_directory` as found.
Result<replication::Settings> settings_from(const Configuration& configuration,
                                            const std::string& map_directory);

// A C string in a fixed array of the memory, cut if too long.
template <size_t kSize>
void store_text(char (&target)[kSize], const std::string& text) {
  const size_t length = std::min(text.size(), kSize - 1);
  text.copy(target, length);
  target[length] = '\0';
}
template <size_t kSize>
std::string load_text(const char (&source)[kSize]) {
  size_t length = 0;
  while (length < kSize && source[length] != '\0') ++length;
  return std::string(source, length);
}

}  // namespace auxin::supervisor
