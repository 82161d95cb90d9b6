// SPDX-License-Identifier: Apache-2.0
//
// What a server keeps: a store for each name.
//
// Thread safety: any thread; of one state, under its lock.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "checkpoint/store/message_store.h"
#include "checkpoint/transport/wire_format.h"

namespace auxin::checkpoint {

struct KeptState {
  std::mutex mutex;                     // of all that follows
  std::unique_ptr<MessageStore> store;
  bool checks_contents = false;         // put() does
};

KeptRecord record_of(const StoreReport& report);

class KeptStates {
 public:
  virtual ~KeptStates() = default;

  // Null, and *outcome: kEmpty (there is none of this name, and none was to be made), what opening
  // it said, kNoSpace (`most_names` are there).
  std::shared_ptr<KeptState> find(const std::string& name, bool make, Outcome* outcome);
  // The names, in order.
  Expected<std::vector<std::string>> names();

 protected:
  explicit KeptStates(uint64_t most_names) : most_names_(most_names) {}
  // One that was not open.
  virtual Expected<std::shared_ptr<KeptState>> open(const std::string& name, bool make) = 0;
  // Those that are kept, open or not.
  virtual Expected<std::vector<std::string>> list() = 0;

 private:
  const uint64_t most_names_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<KeptState>> open_;
};

// A directory (0700) with one directory of segments for each name. One server at a time: it holds a
// lock.
class DirectoryStates : public KeptStates {
 public:
  // kBusy: another server has it. kInputOutput.
  static Expected<std::unique_ptr<DirectoryStates>> open_at(const std::string& path, bool sync,
                                                            uint64_t max_image_bytes,
                                                            uint64_t most_names);
  ~DirectoryStates() override;

 protected:
  Expected<std::shared_ptr<KeptState>> open(const std::string& name, bool make) override;
  Expected<std::vector<std::string>> list() override;

 private:
  DirectoryStates(std::string path, bool sync, uint64_t max_image_bytes, uint64_t most_names)
      : KeptStates(most_names), path_(std::move(path)), sync_(sync),
        max_image_bytes_(max_image_bytes) {}

  const std::string path_;
  const bool sync_;
  const uint64_t max_image_bytes_;
  int directory_ = -1;
};

// Images in this process's memory.
class MemoryStates : public KeptStates {
 public:
  // `checked`: as Image::set_checked, each of them.
  MemoryStates(uint64_t max_image_bytes, uint64_t most_names, bool checked = false)
      : KeptStates(most_names), max_image_bytes_(max_image_bytes), checked_(checked) {}

 protected:
  Expected<std::shared_ptr<KeptState>> open(const std::string& name, bool make) override;
  Expected<std::vector<std::string>> list() override { return std::vector<std::string>(); }

 private:
  const uint64_t max_image_bytes_;
  const bool checked_;
};

}  // namespace auxin::checkpoint
