// SPDX-License-Identifier: Apache-2.0
#include "stmemu/memory/new_file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "stmemu/random_word.h"

namespace auxin::stm {
namespace {

// Fails with EEXIST if the name is taken.
int link_nameless(int fd, const std::string& path) {
  if (linkat(fd, "", AT_FDCWD, path.c_str(), AT_EMPTY_PATH) == 0) return 0;
  if (errno == EEXIST) return -1;
  char self[40];  // without the privilege that AT_EMPTY_PATH asks for
  snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
  return linkat(AT_FDCWD, self, AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW);
}

Error taken(const std::string& path) {
  return Error{path + ": exists already; open it, or remove it if nothing uses it"};
}

}  // namespace

NewFile::NewFile(const std::string& path, int fd, std::string temporary_name)
    : path_(path), fd_(fd), temporary_name_(std::move(temporary_name)) {}

NewFile::NewFile(NewFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(other.fd_.release()),
      temporary_name_(std::exchange(other.temporary_name_, {})) {}

NewFile::~NewFile() {
  if (!temporary_name_.empty()) unlink(temporary_name_.c_str());
}

Result<NewFile> NewFile::make(const std::string& path, uint64_t size_bytes) {
  const std::string directory = directory_of(path);
  struct stat status;
  if (lstat(path.c_str(), &status) == 0) return taken(path);
  std::string temporary_name;
  int fd = FileDescriptor::open(directory, O_TMPFILE | O_RDWR, 0600);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
    char suffix[32];
    snprintf(suffix, sizeof(suffix), ".new.%016llx",
             static_cast<unsigned long long>(random_word()));
    temporary_name = path + suffix;
    fd = FileDescriptor::open(temporary_name, O_CREAT | O_EXCL | O_RDWR, 0600);
    if (fd < 0) temporary_name.clear();
  }
  if (fd < 0) return file_error(path, "cannot make a file in " + directory, errno);
  NewFile file(path, fd, std::move(temporary_name));
  if (fchmod(fd, 0600) != 0) {
    return file_error(path, "cannot set the mode of the new file", errno);
  }
  if (ftruncate(fd, static_cast<off_t>(size_bytes)) != 0) {
    return file_error(path, "cannot make a file of " + mebibytes(size_bytes), errno);
  }
  return file;
}

Result<bool> NewFile::take_storage(uint64_t offset, uint64_t size_bytes) {
  const int error =
      posix_fallocate(fd(), static_cast<off_t>(offset), static_cast<off_t>(size_bytes));
  if (error != 0) return file_error(path_, "no storage for an empty memory", error);
  return true;
}

Result<bool> NewFile::give_name(bool lasting) {
  if (lasting && fsync(fd()) != 0) {
    return file_error(path_, "can't be written to the disk", errno);
  }
  const int linked = temporary_name_.empty() ? link_nameless(fd(), path_)
                                             : link(temporary_name_.c_str(), path_.c_str());
  if (linked != 0) {
    if (errno == EEXIST) return taken(path_);
    return file_error(path_, "cannot give the new file its name", errno);
  }
  if (!lasting) return true;
  const FileDescriptor place(FileDescriptor::open(directory_of(path_), O_RDONLY | O_DIRECTORY));
  if (!place.valid() || fsync(place.get()) != 0) {
    return file_error(path_, "its name can't be written to the disk", errno);
  }
  return true;
}

}  // namespace auxin::stm
