// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/server/kept_states.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "checkpoint/store/file_calls.h"
#include "checkpoint/store/file_store.h"
#include "checkpoint/store/image_store.h"
#include "checkpoint/transport/handshake.h"
#include "stmemu/file.h"

namespace auxin::checkpoint {
namespace {

Outcome none(const std::string& name) {
  return failure(AUXIN_CHECKPOINT_EMPTY, name + ": nothing is kept under this name");
}

}  // namespace

KeptRecord record_of(const StoreReport& report) {
  return {report.state,    report.base_sequence, report.sequence,
          report.messages, report.bytes,         report.damage.size()};
}

std::shared_ptr<KeptState> KeptStates::find(const std::string& name, bool make,
                                            Outcome* outcome) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(name);
  if (found != open_.end()) return found->second;
  if (make && open_.size() >= most_names_) {
    *outcome = failure(AUXIN_CHECKPOINT_NO_SPACE,
                       "there are " + std::to_string(most_names_) + " names already");
    return nullptr;
  }
  Expected<std::shared_ptr<KeptState>> opened = open(name, make);
  if (!opened) {
    *outcome = opened.outcome();
    return nullptr;
  }
  return open_[name] = *opened;
}

Expected<std::vector<std::string>> KeptStates::names() {
  const std::lock_guard lock(mutex_);
  const Expected<std::vector<std::string>> listed = list();
  if (!listed) return listed.outcome();
  std::set<std::string> all(listed->begin(), listed->end());
  for (const auto& [name, state] : open_) all.insert(name);
  return std::vector<std::string>(all.begin(), all.end());
}

Expected<std::unique_ptr<DirectoryStates>> DirectoryStates::open_at(const std::string& path,
                                                                    bool sync,
                                                                    uint64_t max_image_bytes,
                                                                    uint64_t most_names) {
  std::unique_ptr<DirectoryStates> states(
      new DirectoryStates(path, sync, max_image_bytes, most_names));
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return file_failure(path, "can't be made", errno);
  }
  states->directory_ = stm::FileDescriptor::open(path, O_RDONLY | O_DIRECTORY);
  struct stat status;
  if (states->directory_ < 0 || fstat(states->directory_, &status) != 0) {
    return file_failure(path, "can't be opened", errno);
  }
  if ((status.st_mode & 077) != 0 || status.st_uid != geteuid()) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL,
                   path + ": states are kept in a directory of this user's own, mode 0700");
  }
  if (flock(states->directory_, LOCK_EX | LOCK_NB) != 0) {
    return failure(AUXIN_CHECKPOINT_BUSY, path + ": another server keeps states in it");
  }
  return states;
}

DirectoryStates::~DirectoryStates() {
  if (directory_ >= 0) syscall(SYS_close, directory_);
}

Expected<std::shared_ptr<KeptState>> DirectoryStates::open(const std::string& name, bool make) {
  const std::string path = path_ + "/" + name;
  struct stat status;
  if (!make && lstat(path.c_str(), &status) != 0) return none(name);
  FileStoreOptions options;
  options.sync = sync_;
  options.max_image_bytes = max_image_bytes_;
  Expected<std::unique_ptr<FileStore>> store = FileStore::open(path, options);
  if (!store) return store.outcome();
  auto state = std::make_shared<KeptState>();
  state->store = std::move(*store);
  return state;
}

Expected<std::vector<std::string>> DirectoryStates::list() {
  const int copy = stm::FileDescriptor::open(path_, O_RDONLY | O_DIRECTORY);
  DIR* entries = copy < 0 ? nullptr : fdopendir(copy);
  if (entries == nullptr) {
    const int error = errno;
    if (copy >= 0) syscall(SYS_close, copy);
    return file_failure(path_, "can't be listed", error);
  }
  std::vector<std::string> names;
  while (const dirent* entry = readdir(entries)) {
    if (is_state_name(entry->d_name)) names.push_back(entry->d_name);
  }
  closedir(entries);
  return names;
}

// Copied in half a millisecond, where to start a thread takes a tenth of that.
constexpr uint64_t kWorthAThreadBytes = uint64_t{4} << 20;

Expected<std::shared_ptr<KeptState>> MemoryStates::open(const std::string& name, bool make) {
  if (!make) return none(name);
  auto state = std::make_shared<KeptState>();
  auto store = std::make_unique<ImageStore>(max_image_bytes_);
  store->image().set_checked(checked_);
  store->image().take_second_threads(kWorthAThreadBytes);
  state->store = std::move(store);
  state->checks_contents = true;
  return state;
}

}  // namespace auxin::checkpoint
