// SPDX-License-Identifier: Apache-2.0
#include "analysis/structure/reader/libclang.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <vector>

namespace auxin::analysis::reader {

Result<Libclang> Libclang::load() {
  std::vector<std::string> names = {AUXIN_LIBCLANG_NAME, "libclang-14.so.1", "libclang.so.1"};
  if (const char* chosen = getenv("AUXIN_LIBCLANG"); chosen != nullptr && *chosen != '\0') {
    names = {chosen};
  }
  void* library = nullptr;
  std::string reason;
  for (const std::string& name : names) {
    library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
    if (reason.empty()) reason = dlerror();
  }
  if (library == nullptr) {
    return Error{fmt::format("sources are read by libclang, which cannot be loaded ({}); apt "
                             "install libclang1-14 libclang-common-14-dev",
                             reason)};
  }
  Libclang clang;
  std::string missing;
#define AUXIN_LIBCLANG_FIND(name)                                                        \
  clang.name = reinterpret_cast<decltype(clang.name)>(dlsym(library, "clang_" #name)); \
  if (clang.name == nullptr && missing.empty()) missing = "clang_" #name;
  AUXIN_LIBCLANG_FUNCTIONS(AUXIN_LIBCLANG_FIND)
#undef AUXIN_LIBCLANG_FIND
  if (!missing.empty()) {
    return Error{fmt::format("the libclang that was loaded has no {}: it is another version, or "
                             "another library",
                             missing)};
  }
  return clang;
}

std::string Libclang::text(CXString string) const {
  const char* characters = getCString(string);
  std::string result = characters == nullptr ? "" : characters;
  disposeString(string);
  return result;
}

}  // namespace auxin::analysis::reader
