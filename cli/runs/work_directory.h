// SPDX-License-Identifier: Apache-2.0
//
// A directory for one command's own use: on shared memory where there is some, this user's alone,
// gone when the object goes. What a command that was killed left behind is removed by the next one.
#pragma once

#include <string>

#include "stmemu/result.h"

namespace auxin::cli {

class WorkDirectory {
 public:
  static Result<WorkDirectory> make();
  ~WorkDirectory();
  WorkDirectory(WorkDirectory&& other) noexcept;
  WorkDirectory& operator=(WorkDirectory&&) = delete;

  const std::string& path() const { return path_; }
  // A directory in it, 0700. "" where it can't be made.
  std::string sub(const std::string& name) const;

 private:
  explicit WorkDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace auxin::cli
