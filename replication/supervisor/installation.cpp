// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/installation.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>

#include "metamarkers/join_point_map.h"
#include "replication/supervisor/exported_symbol.h"

namespace auxin::supervisor {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLibraryName = "libauxin.so";
// One that libauxin.so exports whatever it intercepts (include/auxin/metamarker.h).
constexpr const char* kLibrarySymbol = "auxin_marker_enter";
constexpr const char* kOrbPatterns[] = {"libomniORB*.so*", "libTAO.so*", "libmico*.so*",
                                        "libORBit*.so*"};

fs::path command_directory() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path() : self.parent_path();
}

// Beside the command: its own directory's neighbour lib/, also with a directory per architecture.
std::optional<fs::path> library_beside_command() {
  const fs::path lib = command_directory() / ".." / "lib";
  std::vector<fs::path> candidates = {lib / kLibraryName, lib / "auxin" / kLibraryName};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(lib, error)) {
    if (entry.is_directory(error)) candidates.push_back(entry.path() / kLibraryName);
  }
  for (const fs::path& candidate : candidates) {
    if (fs::is_regular_file(candidate, error)) return fs::canonical(candidate, error);
  }
  return {};
}

bool is_shared_object(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  char start[18] = {};
  file.read(start, sizeof(start));
  return file.gcount() == sizeof(start) && memcmp(start, "\x7f" "ELF", 4) == 0 && start[16] == 3;
}

std::vector<fs::path> maps_in(const std::string& directory) {
  std::vector<fs::path> maps;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".toml") maps.push_back(entry.path());
  }
  std::sort(maps.begin(), maps.end());
  return maps;
}

}  // namespace

Result<std::string> find_library() {
  std::error_code error;
  std::optional<fs::path> path;
  if (const char* named = getenv("AUXIN_LIBRARY"); named != nullptr && *named != '\0') {
    if (!fs::is_regular_file(named, error)) {
      return Error{fmt::format("{}: AUXIN_LIBRARY names no file; set it to {}'s path, or unset it",
                               named, kLibraryName)};
    }
    path = fs::absolute(named, error);
  } else {
    path = library_beside_command();
  }
  if (!path) {
    return Error{fmt::format("{} not found beside the command (in {}); reinstall Auxin, or name it "
                             "in AUXIN_LIBRARY",
                             kLibraryName,
                             (command_directory().parent_path() / "lib").string())};
  }
  if (!is_shared_object(*path)) {
    return Error{fmt::format("{}: is no shared library; reinstall Auxin, or name {} in "
                             "AUXIN_LIBRARY",
                             path->string(), kLibraryName)};
  }
  if (!exports_symbol(*path, kLibrarySymbol)) {
    return Error{fmt::format("{}: is not Auxin's library for 64-bit x86 (it exports no {}); "
                             "reinstall Auxin, or name {} in AUXIN_LIBRARY",
                             path->string(), kLibrarySymbol, kLibraryName)};
  }
  if (path->string().find_first_of(": \t\n") != std::string::npos) {
    return Error{fmt::format("{}: its path can't stand in LD_PRELOAD, which is divided at spaces "
                             "and colons; put {} elsewhere",
                             path->string(), kLibraryName)};
  }
  return path->string();
}

Result<std::string> find_restorer() {
  std::error_code error;
  const fs::path beside = command_directory();
  for (const fs::path& directory : {beside, beside / ".." / "libexec" / "auxin"}) {
    const fs::path candidate = directory / "auxin-restore";
    if (fs::is_regular_file(candidate, error)) return fs::canonical(candidate, error).string();
  }
  return Error{fmt::format("auxin-restore not found beside the command (in {}); reinstall Auxin",
                           (beside / ".." / "libexec" / "auxin").string())};
}

Result<std::string> find_map_directory(const std::string& configured) {
  std::error_code error;
  std::string directory = configured;
  std::string origin = "maps.directory";
  if (directory.empty()) {
    const char* named = getenv("AUXIN_MAPS");
    if (named != nullptr && *named != '\0') {
      directory = named;
      origin = "AUXIN_MAPS";
    } else {
      directory = (command_directory().parent_path() / "share" / "auxin" / "maps").string();
      origin.clear();
    }
  }
  const std::string remedy = origin.empty() ? "reinstall Auxin, or name the directory in AUXIN_MAPS"
                                            : fmt::format("correct {}", origin);
  if (!fs::is_directory(directory, error)) {
    return Error{fmt::format("{}: there is no such directory of join-point maps; {}", directory,
                             remedy)};
  }
  if (maps_in(directory).empty()) {
    return Error{fmt::format("{}: holds no join-point map (*.toml); {}", directory, remedy)};
  }
  return fs::canonical(directory, error).string();
}

std::string map_fault(const std::string& map_directory, const std::string& server,
                      const std::vector<std::string>& libraries) {
  std::string names;
  for (const fs::path& path : maps_in(map_directory)) {
    const markers::LoadedMap loaded = markers::load_map(path.string());
    if (!loaded.error.empty()) return loaded.error + "; correct or remove this join-point map";
    names += fmt::format("{}{}", names.empty() ? "" : ", ", loaded.map.name);
  }
  if (!markers::choose_maps(map_directory, libraries).maps.empty()) return {};
  for (const std::string& library : libraries) {
    const bool is_orb = std::any_of(
        std::begin(kOrbPatterns), std::end(kOrbPatterns),
        [&](const char* pattern) { return markers::matches(pattern, library.c_str()); });
    if (!is_orb) continue;
    return fmt::format("{}: uses {}, an ORB version for which {} holds no join-point map (there "
                       "are: {}); add one, or run with --style none",
                       server, library, map_directory, names);
  }
  return {};
}

}  // namespace auxin::supervisor
