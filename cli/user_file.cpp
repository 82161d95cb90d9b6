// SPDX-License-Identifier: Apache-2.0
#include "cli/user_file.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace auxin::cli {
namespace {

Error cannot_write(const std::string& path, int error) {
  return Error{fmt::format("{}: can't be written: {}", path, strerrordesc_np(error))};
}

// Behind a symbolic link it is the target that is replaced, not the link.
std::string target_of(const std::string& path) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::canonical(path, error);
  return error ? path : target.string();
}

std::string directory_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

int write_all(int file, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = write(file, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    done += static_cast<size_t>(written);
  }
  return 0;
}

mode_t mode_of(Readers readers) {
  if (readers == Readers::kOwner) return 0600;
  const mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

}  // namespace

std::optional<Error> why_not_writable(const std::string& path) {
  const std::string target = target_of(path);
  struct stat there{};
  if (stat(target.c_str(), &there) == 0) {
    if (S_ISDIR(there.st_mode)) return cannot_write(path, EISDIR);
    if (!S_ISREG(there.st_mode)) {
      return Error{path + ": can't be written: it is there, and no ordinary file"};
    }
  } else if (errno != ENOENT) {
    return cannot_write(path, errno);
  }
  if (path.empty() || path.ends_with('/')) return cannot_write(path, EISDIR);
  if (access(directory_of(target).c_str(), W_OK | X_OK) != 0) return cannot_write(path, errno);
  return std::nullopt;
}

std::optional<Error> write_file(const std::string& path, const std::string& text,
                                Readers readers) {
  if (auto error = why_not_writable(path)) return error;
  const std::string target = target_of(path);
  std::string unfinished = target + ".XXXXXX";
  const int file = mkostemp(unfinished.data(), O_CLOEXEC);
  if (file < 0) return cannot_write(path, errno);
  int error = write_all(file, text);
  if (error == 0 && fchmod(file, mode_of(readers)) != 0) error = errno;
  if (close(file) != 0 && error == 0) error = errno;
  if (error == 0 && rename(unfinished.c_str(), target.c_str()) == 0) return std::nullopt;
  if (error == 0) error = errno;
  unlink(unfinished.c_str());
  return cannot_write(path, error);
}

}  // namespace auxin::cli
