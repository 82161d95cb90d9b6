// SPDX-License-Identifier: Apache-2.0
#include "cli/verify/kept_failure.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "replication/supervisor/descriptor.h"

namespace auxin::cli {
namespace {

namespace fs = std::filesystem;
using supervisor::Descriptor;

constexpr int kSchema = 1;
constexpr char kFailureFile[] = "/failure.json";
constexpr char kMemoryFile[] = "/base.memory";
constexpr char kBaseTraceFile[] = "/base.trace";
constexpr char kFailedTraceFile[] = "/failed.trace";

Error cannot(const std::string& path, const char* what) {
  return Error{fmt::format("{}: can't be {}: {}", path, what, strerrordesc_np(errno))};
}

bool copy_range(int from, int to, off_t begin, off_t end) {
  char buffer[1 << 16];
  while (begin < end) {
    const size_t wanted = std::min<size_t>(sizeof buffer, static_cast<size_t>(end - begin));
    const ssize_t size = pread(from, buffer, wanted, begin);
    if (size <= 0 || pwrite(to, buffer, static_cast<size_t>(size), begin) != size) return false;
    begin += size;
  }
  return true;
}

// Only what is stored: a log's file is mostly holes.
Result<bool> copy_sparse(const std::string& from_path, const std::string& to_path) {
  const Descriptor from(open(from_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (from.get() < 0) return cannot(from_path, "read");
  const Descriptor to(open(to_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  struct stat status;
  if (to.get() < 0 || fstat(from.get(), &status) != 0 ||
      ftruncate(to.get(), status.st_size) != 0) {
    return cannot(to_path, "written");
  }
  for (off_t at = 0; at < status.st_size;) {
    const off_t begin = lseek(from.get(), at, SEEK_DATA);
    if (begin < 0 && errno == ENXIO) break;  // nothing but a hole is left
    const off_t end = begin < 0 ? begin : lseek(from.get(), begin, SEEK_HOLE);
    if (end < 0 || !copy_range(from.get(), to.get(), begin, end)) {
      return cannot(to_path, "written");
    }
    at = end;
  }
  return true;
}

Result<bool> copy(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::copy_file(from, to, fs::copy_options::overwrite_existing, error);
  if (error) return Error{fmt::format("{}: can't be written: {}", to, error.message())};
  return true;
}

}  // namespace

Result<bool> prepare_kept_failure(const std::string& directory) {
  if (directory.empty()) return true;
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return Error{fmt::format("{}: can't be made: {}", directory, error.message())};
  if (access(directory.c_str(), W_OK | X_OK) != 0) return cannot(directory, "written");
  return true;
}

Result<bool> keep_failure(const std::string& directory, const std::vector<std::string>& server,
                          const BaseRun& base, const Failure& failure,
                          const std::string& trace_path) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return Error{fmt::format("{}: can't be made: {}", directory, error.message())};
  if (auto done = copy_sparse(base.memory_path, directory + kMemoryFile); !done) return done;
  if (auto done = copy(base.trace_path, directory + kBaseTraceFile); !done) return done;
  if (!trace_path.empty()) {
    if (auto done = copy(trace_path, directory + kFailedTraceFile); !done) return done;
  }
  Json json;
  json["schema"] = kSchema;
  json["server"] = server;
  json["working_directory"] = fs::current_path(error).string();
  json["base_seed"] = base.seed;
  json["seed"] = failure.seed;
  json["leave_out"] = base.leave_out;
  json["end_position"] = base.end_position;
  json["requests"] = base.requests;
  json["text"] = failure.text;
  std::ofstream file(directory + kFailureFile, std::ios::trunc);
  file << dump(json, 2) << '\n';
  file.flush();
  if (!file) return cannot(directory + kFailureFile, "written");
  return true;
}

Result<KeptFailure> load_kept_failure(const std::string& named) {
  std::error_code error;
  const std::string directory = fs::absolute(named, error).string();
  const std::string path = directory + kFailureFile;
  std::ifstream file(path);
  if (!file) {
    return Error{fmt::format("{}: can't be read: {}; give a directory that --keep made", path,
                             strerrordesc_np(errno))};
  }
  const Json json = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  try {
    if (json.at("schema") != kSchema) {
      return Error{fmt::format("{}: of another version of Auxin", path)};
    }
    KeptFailure kept;
    kept.server = json.at("server").get<std::vector<std::string>>();
    kept.working_directory = json.at("working_directory");
    kept.seed = json.at("seed");
    kept.base.seed = json.at("base_seed");
    kept.base.leave_out = json.at("leave_out");
    kept.base.end_position = json.at("end_position");
    kept.base.requests = json.at("requests");
    kept.base.memory_path = directory + kMemoryFile;
    kept.base.trace_path = directory + kBaseTraceFile;
    if (kept.server.empty()) return Error{fmt::format("{}: damaged: it names no server", path)};
    return kept;
  } catch (const nlohmann::json::exception& fault) {
    return Error{fmt::format("{}: damaged: {}", path, fault.what())};
  }
}

}  // namespace auxin::cli
