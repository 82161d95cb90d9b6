// SPDX-License-Identifier: Apache-2.0
//
// In the directory: list.json with one row per path, and the copies under their row's number.
#include "replication/supervisor/initial_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "replication/supervisor/log_size.h"
#include "replication/supervisor/sentence.h"

namespace auxin::supervisor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kPlaceholder[] = "{replica}";
constexpr int kListSchema = 1;

// Owner, mode and times of one file; links are left alone but for their times.
void copy_attributes(const fs::path& from, const fs::path& to) {
  struct stat status;
  if (lstat(from.c_str(), &status) != 0) return;
  if (lchown(to.c_str(), status.st_uid, status.st_gid) != 0) {
    // Not permitted to give files away: they stay ours, as `cp -p` leaves them.
  }
  if (!S_ISLNK(status.st_mode)) chmod(to.c_str(), status.st_mode & 07777);
  const timespec times[2] = {status.st_atim, status.st_mtim};
  utimensat(AT_FDCWD, to.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

// A faithful copy of a file, link or directory; sockets and pipes are not state and are left out.
void copy_tree(const fs::path& from, const fs::path& to) {
  const fs::file_status status = fs::symlink_status(from);
  switch (status.type()) {
    case fs::file_type::directory:
      fs::create_directory(to);
      for (const auto& entry : fs::directory_iterator(from)) {
        copy_tree(entry.path(), to / entry.path().filename());
      }
      break;
    case fs::file_type::regular: fs::copy_file(from, to); break;
    case fs::file_type::symlink: fs::copy_symlink(from, to); break;
    default: return;
  }
  copy_attributes(from, to);
}

uint64_t tree_size_bytes(const fs::path& path) {
  const fs::file_status status = fs::symlink_status(path);
  if (fs::is_regular_file(status)) return fs::file_size(path);
  uint64_t sum = 4096;
  if (fs::is_directory(status)) {
    for (const auto& entry : fs::directory_iterator(path)) sum += tree_size_bytes(entry.path());
  }
  return sum;
}

// Where in the argument a path may begin: at its start, behind an =, behind an option's letter.
std::vector<size_t> path_starts(const std::string& argument) {
  if (!argument.starts_with('-')) {
    const size_t equals = argument.find('=');
    const bool assignment = equals != std::string::npos && equals < argument.find('/') &&
                            equals < argument.find(kPlaceholder);
    return {assignment ? equals + 1 : 0};
  }
  if (const size_t equals = argument.find('='); equals != std::string::npos) return {equals + 1};
  if (argument.starts_with("--")) return {};
  const size_t slash = argument.find('/');
  return {slash != std::string::npos ? slash : 2};
}

}  // namespace

std::string with_replica(const std::string& text, int replica) {
  std::string result = text;
  const std::string number = std::to_string(replica);
  for (size_t at = 0; (at = result.find(kPlaceholder, at)) != std::string::npos;) {
    result.replace(at, sizeof(kPlaceholder) - 1, number);
    at += number.size();
  }
  return result;
}

std::vector<std::string> paths_of_replica(const std::vector<std::string>& arguments, int replica,
                                          const std::string& working_directory) {
  std::set<std::string> paths;
  for (const std::string& argument : arguments) {
    for (const size_t start : path_starts(argument)) {
      const size_t at = argument.find(kPlaceholder, start);
      if (at == std::string::npos) continue;
      const size_t end = argument.find('/', at);
      const std::string part = with_replica(argument.substr(start, end - start), replica);
      // The component must be the replica's alone: not "..", not a root.
      const fs::path path = (fs::path(working_directory) / part).lexically_normal();
      if (path.has_filename() && path != fs::path(working_directory)) paths.insert(path);
    }
  }
  return {paths.begin(), paths.end()};
}

Result<bool> InitialCopy::take(const std::vector<std::string>& arguments, int count,
                               const std::string& working_directory) {
  json rows = json::array();
  std::string now;  // for the error's sentence
  try {
    uint64_t needed_bytes = 0;
    for (int replica = 0; replica < count; ++replica) {
      for (const std::string& path : paths_of_replica(arguments, replica, working_directory)) {
        now = path;
        const bool exists = fs::exists(fs::symlink_status(path));
        if (exists) needed_bytes += tree_size_bytes(path);
        rows.push_back({{"replica", replica}, {"path", path}, {"exists", exists}});
      }
    }
    if (rows.empty()) return true;
    const fs::path parent = fs::path(directory_).parent_path();
    auto free_bytes = free_space_bytes(parent);
    if (!free_bytes) return Error{free_bytes.error()};
    if (needed_bytes > *free_bytes / 2) {
      return Error{fmt::format("{}: no room to keep the replicas' own files ({}) as they were at "
                               "the start; choose a --state-dir with more space",
                               parent.string(), describe_bytes(needed_bytes))};
    }
    fs::create_directory(directory_);
    fs::permissions(directory_, fs::perms::owner_all);
    for (size_t row = 0; row < rows.size(); ++row) {
      now = rows[row]["path"];
      if (rows[row]["exists"]) copy_tree(now, fs::path(directory_) / std::to_string(row));
    }
    now = directory_ + "/list.json";
    std::ofstream list(now);
    list << json{{"schema", kListSchema}, {"paths", rows}}.dump(1) << '\n';
    list.close();
    fs::permissions(now, fs::perms::owner_read | fs::perms::owner_write);
    if (!list) throw fs::filesystem_error("write", std::error_code(EIO, std::generic_category()));
  } catch (const std::system_error& error) {
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
    return Error{fmt::format("{}: cannot keep a copy of it as it is at the start: {}", now,
                             error.code().message())};
  }
  return true;
}

Result<bool> InitialCopy::put_back(int replica) const {
  const fs::path list_path = fs::path(directory_) / "list.json";
  std::string now = list_path;
  try {
    if (!fs::exists(list_path)) return true;
    std::ifstream file(list_path);
    const json list = json::parse(file);
    if (list.at("schema") != kListSchema) {
      return Error{fmt::format("{}: is of another version of Auxin", list_path.string())};
    }
    const json& rows = list.at("paths");
    for (size_t row = 0; row < rows.size(); ++row) {
      if (rows[row].at("replica") != replica) continue;
      now = rows[row].at("path");
      fs::remove_all(now);
      if (rows[row].at("exists")) copy_tree(fs::path(directory_) / std::to_string(row), now);
    }
  } catch (const std::system_error& error) {
    return Error{fmt::format("{}: cannot make it as it was at the start: {}", now,
                             error.code().message())};
  } catch (const json::exception&) {
    return Error{fmt::format("{}: damaged", list_path.string())};
  }
  return true;
}

}  // namespace auxin::supervisor
