// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/ready_file.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "replication/supervisor/descriptor.h"
#include "replication/supervisor/sentence.h"

namespace auxin::supervisor {

ReadyFile::ReadyFile(const std::string& path) {
  std::error_code error;
  if (!path.empty()) path_ = std::filesystem::absolute(path, error);
}

std::string ReadyFile::fault() const {
  if (path_.empty()) return {};
  const std::string parent = std::filesystem::path(path_).parent_path();
  struct stat status;
  if (lstat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    return fmt::format("{}: is no regular file; name another --ready-file", path_);
  }
  if (access(parent.c_str(), W_OK | X_OK) != 0) {
    return fmt::format("{}: the ready file can't be made there: {}; name another --ready-file",
                       path_, strerrordesc_np(errno));
  }
  return {};
}

std::string ReadyFile::appear(int pid) const {
  if (path_.empty()) return {};
  const std::string temporary = fmt::format("{}.{}", path_, pid);
  Descriptor fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                     0600));
  const std::string text = fmt::format("{}\n", pid);
  if (!fd.valid() ||
      write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      rename(temporary.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    return failed(path_, "make the ready file", error).message;
  }
  return {};
}

void ReadyFile::remove() const {
  if (!path_.empty()) unlink(path_.c_str());
}

}  // namespace auxin::supervisor
