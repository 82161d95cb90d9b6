// SPDX-License-Identifier: Apache-2.0
//
// A shared library with locks of its own, which maps/known-library.toml calls infrastructure: what
// it locks is not ordered. Whether that is right depends on who uses it for what.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "history.h"

namespace known {

// A history under the library's own lock. Any thread.
class Journal {
 public:
  int64_t append(int64_t value);
  int64_t digest();
  std::vector<int64_t> values();

 private:
  std::mutex lock_;
  History history_;
};

// Something that one thread at a time has open; nothing that is in it can be read. Any thread.
class Drawer {
 public:
  void open();
  void close();

 private:
  std::mutex lock_;
  int64_t times_ = 0;
};

// A drawer that is open.
class OpenDrawer {
 public:
  explicit OpenDrawer(Drawer& drawer) : drawer_(drawer) { drawer_.open(); }
  ~OpenDrawer() { drawer_.close(); }
  OpenDrawer(const OpenDrawer&) = delete;
  OpenDrawer& operator=(const OpenDrawer&) = delete;

 private:
  Drawer& drawer_;
};

}  // namespace known
