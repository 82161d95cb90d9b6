// SPDX-License-Identifier: Apache-2.0
#include "replication/rehearsal/leave_out.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <string>
#include <vector>

namespace auxin::replication {
namespace {

struct Site {
  std::string module;
  uint64_t offset;
};
const std::vector<Site>* left_out = nullptr;
bool without_join_points = false;

}  // namespace

void leave_out(const char* sites) {
  auto* found = new std::vector<Site>;
  without_join_points = false;
  for (const char* at = sites; *at != '\0';) {
    const size_t length = strcspn(at, ",");
    const std::string text(at, length);
    if (text == kJoinPointsLeftOut) without_join_points = true;
    // A library's name may have a plus of its own.
    if (const size_t plus = text.rfind("+0x"); plus != std::string::npos && plus > 0) {
      found->push_back({text.substr(0, plus), strtoull(text.c_str() + plus + 1, nullptr, 16)});
    }
    at += length + (at[length] == ',' ? 1 : 0);
  }
  delete left_out;
  left_out = found;
}

bool join_points_are_left_out() { return without_join_points; }

bool is_left_out(const os::Module* module, const void* address) {
  if (left_out == nullptr || module == nullptr) [[likely]] return false;
  const uint64_t offset = reinterpret_cast<uintptr_t>(address) - module->base;
  for (const Site& site : *left_out) {
    if (site.offset == offset && site.module == module->name) return true;
  }
  return false;
}

}  // namespace auxin::replication
