// SPDX-License-Identifier: Apache-2.0
//
// On whose behalf a recorded call was made: the application's or the middleware's. Read off the
// recording itself, since the map that it was made with need not be at hand any more.
//
//   middleware    a library that calls while a message is dispatched and no request is yet known:
//                 no application code can be running
//   see-through   a library that both sides stand on: the C and C++ run-time libraries, and those
//                 that call under the middleware's own markers too. Who called it decides
//   application   every other library, and always the program itself
//
// Thread safety: readers may share it. The trace has to outlive it.
#pragma once

#include <set>
#include <string>

#include "analysis/trace/trace.h"

namespace auxin::analysis {

enum class CallerLayer : uint8_t { kApplication, kMiddleware };

class CallerLayers {
 public:
  explicit CallerLayers(const Trace& trace);

  // `path`: as of an event. Where nothing but see-through libraries is on it: the middleware.
  CallerLayer of_path(uint32_t path) const;

 private:
  bool sees_through(const std::string& library) const;

  const Trace& trace_;
  std::set<std::string> middleware_, shared_;
};

}  // namespace auxin::analysis
