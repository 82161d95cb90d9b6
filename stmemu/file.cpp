// SPDX-License-Identifier: Apache-2.0
#include "stmemu/file.h"

#include <stdio.h>
#include <string.h>

namespace auxin::stm {

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Error file_error(const std::string& path, const std::string& what, int error) {
  const char* text = strerrordesc_np(error);
  return Error{path + ": " + what + ": " + (text != nullptr ? text : "unknown error")};
}

std::string mebibytes(uint64_t bytes) {
  char text[32];
  snprintf(text, sizeof(text), "%.1f MiB", static_cast<double>(bytes) / (1 << 20));
  return text;
}

}  // namespace auxin::stm
