// SPDX-License-Identifier: Apache-2.0
//
// The system calls with which a directory of segments is changed, one by one: a test stands between
// and stops after each.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/outcome.h"

namespace auxin::checkpoint {

// What is about to be done; for tests.
enum class FileStep : uint32_t { kCreate, kWrite, kSync, kRename, kSyncDirectory, kRemove };

class FileCalls {
 public:
  // Called before each step; may not return. Null: nothing.
  using BeforeStep = void (*)(FileStep step);
  static void set_before_step(BeforeStep before);

  // `directory`: a descriptor. Writes a new file with both parts, mode 0600, and gives it its name
  // when it is complete: nobody sees a file of this name that is not. With `sync`, it and its name
  // are on the disk then. kNoSpace, kInputOutput: no file of this name is there.
  static Outcome write_file(int directory, const std::string& path, const std::string& name,
                            const void* first, uint64_t first_bytes, const void* second,
                            uint64_t second_bytes, bool sync);
  static Outcome remove(int directory, const std::string& path, const std::string& name);
};

// kNoSpace if that is what `error` says (disk, quota, limit of file sizes), else kInputOutput.
Outcome file_failure(const std::string& path, const std::string& what, int error);

// Names of files that were never completed begin with it.
inline constexpr char kUnfinishedPrefix[] = ".unfinished-";

}  // namespace auxin::checkpoint
