// SPDX-License-Identifier: Apache-2.0
//
// The file that says that the group is ready: absent, or whole with the supervisor's pid in it.
#pragma once

#include <string>

namespace auxin::supervisor {

class ReadyFile {
 public:
  // "": there is none, and everything does nothing.
  explicit ReadyFile(const std::string& path);

  // Nothing, or a sentence that says why it can't be made there. Changes nothing.
  std::string fault() const;
  // Makes it appear at once with `pid` in it. Nothing, or a sentence.
  std::string appear(int pid) const;
  void remove() const;

 private:
  std::string path_;
};

}  // namespace auxin::supervisor
