// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/exported_symbol.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <iterator>
#include <fstream>
#include <string>

namespace auxin::supervisor {
namespace {

namespace fs = std::filesystem;

// The file of the library that a function is in.
std::string library_of(const void* address) {
  Dl_info info;
  return dladdr(address, &info) != 0 ? info.dli_fname : "";
}

const std::string kC = library_of(dlsym(RTLD_DEFAULT, "getpid"));
const std::string kCxx = library_of(dlsym(RTLD_DEFAULT, "__cxa_throw"));

TEST(ExportedSymbol, IsToldFromAbsentOnesAndFromParts) {
  ASSERT_NE(kC, "");
  EXPECT_TRUE(exports_symbol(kC, "getpid"));
  EXPECT_FALSE(exports_symbol(kC, "getpi"));
  EXPECT_FALSE(exports_symbol(kC, "auxin_marker_enter"));
}

TEST(ExportedSymbol, OneThatIsOnlyUsedIsNotExported) {
  ASSERT_NE(kCxx, kC);
  EXPECT_TRUE(exports_symbol(kCxx, "__cxa_throw"));
  EXPECT_FALSE(exports_symbol(kCxx, "malloc"));
}

TEST(ExportedSymbol, NoLibraryExportsNothing) {
  EXPECT_FALSE(exports_symbol("/no/such/library.so", "getpid"));
  EXPECT_FALSE(exports_symbol("/dev/null", "getpid"));
  EXPECT_FALSE(exports_symbol("/proc/self/maps", "getpid"));
}

// Goal: whatever a damaged file claims, the answer is no, not a crash. Method: cut at many lengths;
// the header's and section headers' bytes overwritten one by one.
TEST(ExportedSymbol, DamagedLibraryIsNoCrash) {
  std::ifstream file(kCxx, std::ios::binary);
  std::string library((std::istreambuf_iterator<char>(file)), {});
  ASSERT_GT(library.size(), 4096u);
  char pattern[] = "/dev/shm/auxin-test-XXXXXX";
  const std::string directory = mkdtemp(pattern);
  const std::string copy = directory + "/copy.so";
  const auto put = [&](const std::string& bytes, size_t offset) {
    std::fstream target(copy, std::ios::binary | std::ios::in | std::ios::out);
    target.seekp(static_cast<std::streamoff>(offset));
    target << bytes;
  };
  std::ofstream(copy, std::ios::binary) << library;
  uint64_t sections = 0;
  library.copy(reinterpret_cast<char*>(&sections), sizeof(sections), 40);  // e_shoff
  for (size_t i = 0; i < 64 * 40; ++i) {
    const size_t at = i < 64 ? i : sections + i - 64;
    if (at >= library.size()) break;
    put("\xff", at);
    (void)exports_symbol(copy, "__cxa_throw");
    put(library.substr(at, 1), at);
  }
  EXPECT_TRUE(exports_symbol(copy, "__cxa_throw"));
  for (const size_t size : {size_t{0}, size_t{20}, size_t{64}, size_t{4096}, library.size() / 2}) {
    fs::resize_file(copy, size);
    EXPECT_FALSE(exports_symbol(copy, "__cxa_throw")) << size;
  }
  fs::remove_all(directory);
}

}  // namespace
}  // namespace auxin::supervisor
