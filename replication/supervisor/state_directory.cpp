// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/state_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <filesystem>

#include "replication/environment.h"
#include "replication/supervisor/processes.h"
#include "replication/supervisor/sentence.h"

namespace auxin::supervisor {
namespace {

namespace fs = std::filesystem;

std::string absolute(const std::string& path) {
  std::error_code error;
  const fs::path made = fs::absolute(path, error).lexically_normal();
  std::string text = error ? path : made.string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

// Nothing if only we can reach what is in the directory.
std::string privacy_fault(const std::string& path, const struct stat& status) {
  if (!S_ISDIR(status.st_mode)) {
    return fmt::format("{}: is not a directory; remove it or choose another --state-dir", path);
  }
  if (status.st_uid != geteuid()) {
    return fmt::format("{}: belongs to user {}, not to this one ({}); choose another --state-dir",
                       path, status.st_uid, geteuid());
  }
  if ((status.st_mode & 077) != 0) {
    return fmt::format("{}: is open to other users (mode {:04o}); chmod 700 it or choose another "
                       "--state-dir",
                       path, status.st_mode & 07777);
  }
  return {};
}

// A root that the user chose may be shared for reading, but nobody else may rename what is in it.
std::string chosen_root_fault(const std::string& path, const struct stat& status) {
  if (!S_ISDIR(status.st_mode)) {
    return fmt::format("{}: is not a directory; choose another --state-dir", path);
  }
  if (status.st_uid != geteuid() && status.st_uid != 0) {
    return fmt::format("{}: belongs to user {}, not to this one ({}); choose another --state-dir",
                       path, status.st_uid, geteuid());
  }
  if ((status.st_mode & 022) != 0 && (status.st_mode & S_ISVTX) == 0) {
    return fmt::format("{}: other users can write to it (mode {:04o}); chmod go-w it or choose "
                       "another --state-dir",
                       path, status.st_mode & 07777);
  }
  return {};
}

// Makes sure that the root is there and safe; says whether it was made.
std::string root_fault(const std::string& root, bool is_default, bool create, bool* created) {
  *created = create && mkdir(root.c_str(), 0700) == 0;
  if (create && !*created && errno != EEXIST) {
    return failed(root, "make the state directory", errno).message +
           "; choose another --state-dir";
  }
  struct stat status;
  if (is_default ? lstat(root.c_str(), &status) != 0 : stat(root.c_str(), &status) != 0) {
    return errno == ENOENT ? "" : failed(root, "examine", errno).message;
  }
  return is_default ? privacy_fault(root, status) : chosen_root_fault(root, status);
}

bool same_inode(int fd, const std::string& path) {
  struct stat held, named;
  return fstat(fd, &held) == 0 && lstat(path.c_str(), &named) == 0 &&
         held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

bool has_memory(const std::string& directory) {
  struct stat status;
  return lstat((directory + "/" + kMemoryFile).c_str(), &status) == 0;
}

}  // namespace

bool is_on_tmpfs(const std::string& path) {
  struct statfs system;
  return statfs(path.c_str(), &system) == 0 &&
         (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
}

std::string default_state_root() {
  const char* runtime = getenv("XDG_RUNTIME_DIR");
  struct stat status;
  if (runtime != nullptr && *runtime == '/' && stat(runtime, &status) == 0 &&
      S_ISDIR(status.st_mode) && status.st_uid == geteuid() && is_on_tmpfs(runtime)) {
    return absolute(std::string(runtime) + "/auxin");
  }
  return fmt::format("/dev/shm/auxin-{}", geteuid());
}

StateDirectory::Claimed StateDirectory::claim(const std::string& root, const std::string& name,
                                              bool create) {
  Claimed claimed;
  StateDirectory& directory = claimed.directory;
  const std::string usual = default_state_root();
  directory.root_ = root.empty() ? usual : absolute(root);
  directory.path_ = directory.root_ + "/" + name;
  const bool is_default = directory.root_ == usual;

  // Another supervisor may remove the directory between our steps: then once more.
  for (;;) {
    bool root_created = false;
    claimed.message = root_fault(directory.root_, is_default, create, &root_created);
    if (!claimed.message.empty()) return claimed;
    directory.root_created_ |= root_created;

    directory.created_ = create && mkdir(directory.path_.c_str(), 0700) == 0;
    if (create && !directory.created_ && errno == ENOENT) continue;
    if (create && !directory.created_ && errno != EEXIST) {
      claimed.message = failed(directory.path_, "make the state directory", errno).message +
                        "; choose another --state-dir";
      return claimed;
    }
    directory.lock_.reset(
        open(directory.path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory.lock_.valid()) {
      if (errno == ENOENT && create) continue;
      if (errno == ENOENT) {
        claimed.outcome = Claim::kAbsent;
        return claimed;
      }
      claimed.message = errno == ENOTDIR || errno == ELOOP
                            ? fmt::format("{}: is not a directory; remove it or choose another "
                                          "--state-dir",
                                          directory.path_)
                            : failed(directory.path_, "open", errno).message;
      return claimed;
    }
    struct stat status;
    if (fstat(directory.lock_.get(), &status) != 0) {
      claimed.message = failed(directory.path_, "examine", errno).message;
      return claimed;
    }
    claimed.message = privacy_fault(directory.path_, status);
    if (!claimed.message.empty()) return claimed;

    if (flock(directory.lock_.get(), LOCK_EX | LOCK_NB) != 0) {
      claimed.outcome = Claim::kBusy;
      return claimed;
    }
    if (same_inode(directory.lock_.get(), directory.path_)) break;
  }
  claimed.outcome = Claim::kClaimed;
  return claimed;
}

void StateDirectory::clear() {
  std::error_code error;
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(path_, error)) entries.push_back(entry.path());
  // The memory first: without it there is no group to be found.
  std::stable_partition(entries.begin(), entries.end(),
                        [](const fs::path& path) { return path.filename() == kMemoryFile; });
  for (const fs::path& path : entries) fs::remove_all(path, error);
}

void StateDirectory::remove(bool with_root) {
  if (!lock_.valid()) return;
  clear();
  rmdir(path_.c_str());
  if (with_root || root_created_ || root_ == default_state_root()) rmdir(root_.c_str());
  lock_.reset();
}

std::vector<std::string> list_groups(const std::string& root) {
  std::vector<std::string> found;
  std::error_code error;
  const std::string directory = root.empty() ? default_state_root() : absolute(root);
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (has_memory(entry.path())) found.push_back(entry.path());
  }
  if (root.empty()) {
    for (const std::string& memory : memories_in_use()) {
      // A rehearsal (replication/rehearsal/) is no group: its memory is called otherwise.
      const fs::path path = memory;
      if (path.filename() == kMemoryFile) found.push_back(path.parent_path());
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::string find_group(const std::string& root, const std::string& name) {
  const std::string usual = (root.empty() ? default_state_root() : absolute(root)) + "/" + name;
  if (has_memory(usual)) return usual;
  if (!root.empty()) return {};
  for (const std::string& directory : list_groups({})) {
    if (fs::path(directory).filename() == name) return directory;
  }
  return {};
}

}  // namespace auxin::supervisor
