// SPDX-License-Identifier: Apache-2.0
#include "cli/runs/work_directory.h"

#include <errno.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <utility>

namespace auxin::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "auxin-work-";

std::string root() {
  struct stat status;
  if (stat("/dev/shm", &status) == 0 && access("/dev/shm", W_OK | X_OK) == 0) return "/dev/shm";
  const char* temporary = getenv("TMPDIR");
  return temporary != nullptr && *temporary != '\0' ? temporary : "/tmp";
}

// "auxin-work-PID-XXXXXX", of this user, whose process is gone.
bool is_left_behind(const fs::path& path) {
  const std::string name = path.filename();
  if (!name.starts_with(kPrefix)) return false;
  int pid = 0;
  const char* digits = name.c_str() + sizeof(kPrefix) - 1;
  const auto parsed = std::from_chars(digits, name.c_str() + name.size(), pid);
  if (parsed.ec != std::errc() || *parsed.ptr != '-' || pid <= 0) return false;
  struct stat status;
  if (lstat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) ||
      status.st_uid != geteuid()) {
    return false;
  }
  return kill(pid, 0) != 0 && errno == ESRCH;
}

void remove_left_behind(const std::string& in) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(in, ignored)) {
    if (is_left_behind(entry.path())) fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

Result<WorkDirectory> WorkDirectory::make() {
  const std::string in = root();
  remove_left_behind(in);
  std::string path = fmt::format("{}/{}{}-XXXXXX", in, kPrefix, getpid());
  if (mkdtemp(path.data()) == nullptr) {
    return Error{fmt::format("{}: cannot make a directory in it: {}; set TMPDIR", in,
                             strerrordesc_np(errno))};
  }
  return WorkDirectory(std::move(path));
}

WorkDirectory::WorkDirectory(WorkDirectory&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

WorkDirectory::~WorkDirectory() {
  if (path_.empty()) return;
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string WorkDirectory::sub(const std::string& name) const {
  const std::string path = path_ + "/" + name;
  return mkdir(path.c_str(), 0700) == 0 || errno == EEXIST ? path : std::string();
}

}  // namespace auxin::cli
