// SPDX-License-Identifier: Apache-2.0
//
// Whether the service itself works on this machine: each part of it is given a problem whose answer
// is known.
//
// Thread safety: any thread. Uses memory of its own only.
#pragma once

#include <string>
#include <vector>

namespace auxin::checkpoint {

struct SelfTestPart {
  std::string name;
  bool tested;          // false: this machine does not have it; `sentence` says why
  bool good;
  std::string sentence; // what was wrong, or why it was not tested; "": good
};

std::vector<SelfTestPart> self_test();

}  // namespace auxin::checkpoint
