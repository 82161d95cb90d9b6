// SPDX-License-Identifier: Apache-2.0
//
// Calls to the application's objects on the supervisor's behalf. They block, so a child makes them;
// it ends with the supervisor.
//
// Thread safety: the supervisor's one thread.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "replication/supervisor/descriptor.h"

namespace auxin::supervisor {

class StateWork {
 public:
  // What went wrong, or "".
  using Work = std::function<std::string()>;

  bool running() const { return answer_.valid(); }
  // Only while none is running. What went wrong, or "".
  std::string begin(const Work& work);
  // Nothing while it runs; then once how it ended: "", or what went wrong.
  std::optional<std::string> ended();

 private:
  Descriptor answer_;
  std::string text_;
};

}  // namespace auxin::supervisor
