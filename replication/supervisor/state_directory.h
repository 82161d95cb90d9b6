// SPDX-License-Identifier: Apache-2.0
//
// Where a group's state is: ROOT/NAME/, the user's alone (0700).
//
//   memory       the stable memory (stmemu/)
//   start.json   how the group was first started (start_record.h)
//   initial/     the {replica} paths as they were then (initial_copy.h)
//
// Whoever supervises the group holds a lock (flock) on the directory. It is freed by the kernel
// with its holder's end, so a directory without a holder is an orphan's or a leftover.
//
// Thread safety: one thread.
#pragma once

#include <string>
#include <vector>

#include "replication/supervisor/descriptor.h"
#include "stmemu/result.h"

namespace auxin::supervisor {

inline constexpr char kMemoryFile[] = "memory";

// $XDG_RUNTIME_DIR/auxin if that is on tmpfs, else /dev/shm/auxin-UID. Not created.
std::string default_state_root();

bool is_on_tmpfs(const std::string& path);

class StateDirectory {
 public:
  enum class Claim { kClaimed, kBusy, kAbsent, kRefused };
  struct Claimed;

  // Takes the lock on ROOT/NAME. `create`: makes it, and ROOT, if they do not exist (otherwise:
  // kAbsent). kBusy: someone holds the lock. kRefused: `message` says why and what to do.
  static Claimed claim(const std::string& root, const std::string& name, bool create);

  StateDirectory() = default;
  StateDirectory(StateDirectory&&) = default;
  StateDirectory& operator=(StateDirectory&&) = default;

  const std::string& path() const { return path_; }
  std::string memory_path() const { return path_ + "/" + kMemoryFile; }
  bool created() const { return created_; }            // by this claim
  bool root_created() const { return root_created_; }  // by this claim

  // Empties the directory but keeps it and its lock.
  void clear();
  // Removes the directory, and the root if it is empty and is the default one or `with_root`.
  void remove(bool with_root);

 private:
  std::string root_, path_;
  Descriptor lock_;
  bool created_ = false;
  bool root_created_ = false;
};

struct StateDirectory::Claimed {
  Claim outcome = Claim::kRefused;
  StateDirectory directory;
  std::string message;
};

// Directories of groups that have a memory: in `root`; with root "" in the default root, and
// wherever living replicas say that theirs is.
std::vector<std::string> list_groups(const std::string& root);
// The directory of the group of that name; "": there is none.
std::string find_group(const std::string& root, const std::string& name);

}  // namespace auxin::supervisor
