// SPDX-License-Identifier: Apache-2.0
//
// What is in a join-point map once it is loaded, and which maps apply to a process.
//
// Choosing looks at the text of each file first: a map whose `soname = "…"` lines name something
// that isn't loaded can't match, and is not parsed. A program without an ORB pays for reading a few
// kilobytes only.
#include "metamarkers/join_point_map.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "metamarkers/map_file.h"

namespace auxin::markers {

namespace {

constexpr const char* kRoleNames[kRoleCount] = {
    nullptr,          "dispatcher",   "request",       "upcall",        "infrastructure",
    "contention-point", "suppressed", "value-source", "output-begins", "mutex-factory",
    "plain",          "contention-ends", "connection-choice", "worker-task", "memory-stream"};

std::string file_name_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

bool is_loaded(const std::string& soname, const std::vector<std::string>& loaded_modules) {
  return std::any_of(loaded_modules.begin(), loaded_modules.end(), [&](const std::string& module) {
    return matches(soname.c_str(), file_name_of(module).c_str());
  });
}

// The quoted value of a line `soname = "VALUE"`; empty for any other line.
std::string soname_in(const std::string& line) {
  size_t at = line.find_first_not_of(" \t");
  if (at == std::string::npos || line.compare(at, 6, "soname") != 0) return "";
  at = line.find_first_not_of(" \t", at + 6);
  if (at == std::string::npos || line[at] != '=') return "";
  at = line.find_first_not_of(" \t", at + 1);
  if (at == std::string::npos || line[at] != '"') return "";
  const size_t end = line.find('"', at + 1);
  return end == std::string::npos ? "" : line.substr(at + 1, end - at - 1);
}

// False only where the map certainly doesn't match.
bool may_match(const std::string& text, const std::vector<std::string>& loaded_modules) {
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    const std::string soname = soname_in(text.substr(begin, end - begin));
    if (!soname.empty() && !is_loaded(soname, loaded_modules)) return false;
    begin = end + 1;
  }
  return true;
}

// Empty error: `text` is filled.
std::string read_file(const std::string& path, std::string* text) {
  FILE* file = fopen(path.c_str(), "re");
  if (file == nullptr) return path + ": can't be read: " + strerror(errno);
  text->clear();
  char chunk[4096];
  size_t count = 0;
  while ((count = fread(chunk, 1, sizeof chunk, file)) > 0) text->append(chunk, count);
  const bool failed = ferror(file) != 0;
  const int error = errno;
  fclose(file);
  return failed ? path + ": can't be read: " + strerror(error) : "";
}

// The *.toml files of a directory, in order of their names.
std::string map_files(const std::string& directory, std::vector<std::string>* paths) {
  DIR* stream = opendir(directory.c_str());
  if (stream == nullptr) return directory + ": can't be read: " + strerror(errno);
  while (const dirent* entry = readdir(stream)) {
    if (entry->d_name[0] != '.' && matches("*.toml", entry->d_name)) {
      paths->push_back(directory + "/" + entry->d_name);
    }
  }
  closedir(stream);
  std::sort(paths->begin(), paths->end());
  return "";
}

void add_sentence(std::string* sentences, const std::string& sentence) {
  if (!sentences->empty()) *sentences += "; ";
  *sentences += sentence;
}

}  // namespace

const int64_t* JoinPointMap::offset(const char* offset_name) const {
  for (const Offset& entry : offsets) {
    if (entry.name == offset_name) return &entry.value;
  }
  return nullptr;
}

const char* role_name(Role role) {
  const auto index = static_cast<size_t>(role);
  return index < kRoleCount ? kRoleNames[index] : nullptr;
}

Role role_of(const char* name) {
  for (uint16_t index = 1; index < kRoleCount; ++index) {
    if (strcmp(kRoleNames[index], name) == 0) return static_cast<Role>(index);
  }
  return Role::kNone;
}

LoadedMap load_map(const std::string& path) {
  std::string text;
  std::string error = read_file(path, &text);
  if (!error.empty()) return {{}, error};
  return parse_map(text, path);
}

ChosenMaps choose_maps(const std::string& directory,
                       const std::vector<std::string>& loaded_modules) {
  ChosenMaps chosen;
  std::vector<std::string> paths;
  chosen.error = map_files(directory, &paths);
  for (const std::string& path : paths) {
    std::string text;
    const std::string unreadable = read_file(path, &text);
    if (!unreadable.empty()) {
      add_sentence(&chosen.error, unreadable);
      continue;
    }
    if (!may_match(text, loaded_modules)) continue;
    LoadedMap loaded = parse_map(text, path);
    if (!loaded.error.empty()) {
      add_sentence(&chosen.error, loaded.error);
      continue;
    }
    const std::vector<std::string>& sonames = loaded.map.match_sonames;
    if (std::all_of(sonames.begin(), sonames.end(),
                    [&](const std::string& soname) { return is_loaded(soname, loaded_modules); })) {
      chosen.maps.push_back(std::move(loaded.map));
    }
  }
  std::stable_sort(chosen.maps.begin(), chosen.maps.end(),
                   [](const JoinPointMap& left, const JoinPointMap& right) {
                     return left.match_sonames.size() < right.match_sonames.size();
                   });
  return chosen;
}

bool matches(const char* pattern, const char* text) {
  const char* after_star = nullptr;  // where to resume when what follows the last * didn't fit
  const char* resume = nullptr;
  while (*text != '\0') {
    if (*pattern == '*') {
      after_star = ++pattern;
      resume = text;
    } else if (*pattern == '?' || *pattern == *text) {
      ++pattern;
      ++text;
    } else if (after_star != nullptr) {
      pattern = after_star;
      text = ++resume;
    } else {
      return false;
    }
  }
  while (*pattern == '*') ++pattern;
  return *pattern == '\0';
}

}  // namespace auxin::markers
