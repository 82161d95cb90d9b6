// SPDX-License-Identifier: Apache-2.0
#include "cli/shared_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <utility>

namespace auxin::cli {
namespace {

namespace fs = std::filesystem;
using FileId = std::pair<dev_t, ino_t>;

bool open_for_writing(const std::string& process, const std::string& number) {
  std::ifstream info(process + "/fdinfo/" + number);
  for (std::string word; info >> word;) {
    if (word != "flags:") continue;
    unsigned flags = 0;
    info >> std::oct >> flags;
    return info && (flags & O_ACCMODE) != O_RDONLY;
  }
  return false;
}

void add_file(const fs::path& path, std::set<FileId>* files) {
  struct stat file;
  if (stat(path.c_str(), &file) == 0) files->insert({file.st_dev, file.st_ino});
}

// What the replicas were started with as standard output and error. A server may have put others
// in their place; the library keeps a follower's under other numbers.
void add_standard_output(int supervisor_pid, std::set<FileId>* files) {
  if (supervisor_pid == 0) return;
  for (const char* number : {"1", "2"}) {
    add_file("/proc/" + std::to_string(supervisor_pid) + "/fd/" + number, files);
  }
}

// Told by identity: the directory may have been named by a path with a symbolic link in it.
void add_files_in(const std::string& directory, std::set<FileId>* files) {
  std::error_code gone;
  for (auto entry = fs::directory_iterator(directory, gone);
       !gone && entry != fs::directory_iterator(); entry.increment(gone)) {
    add_file(entry->path(), files);
  }
}

}  // namespace

std::vector<std::string> shared_files(const std::vector<int>& pids, int supervisor_pid,
                                      const std::string& own_directory) {
  std::map<FileId, std::pair<std::string, std::set<int>>> writers;  // path, pids
  std::set<FileId> left_out;
  add_standard_output(supervisor_pid, &left_out);
  add_files_in(own_directory, &left_out);
  for (const int pid : pids) {
    const std::string process = "/proc/" + std::to_string(pid);
    std::error_code gone;
    for (auto entry = fs::directory_iterator(process + "/fd", gone);
         !gone && entry != fs::directory_iterator(); entry.increment(gone)) {
      const std::string number = entry->path().filename();
      struct stat file;
      if (stat(entry->path().c_str(), &file) != 0 || !S_ISREG(file.st_mode)) continue;
      const FileId id{file.st_dev, file.st_ino};
      if (number == "1" || number == "2") left_out.insert(id);
      if (file.st_nlink == 0 || !open_for_writing(process, number)) continue;
      std::error_code unreadable;
      const std::string path = fs::read_symlink(entry->path(), unreadable);
      if (unreadable || path.starts_with(own_directory + "/")) continue;
      writers[id].first = path;
      writers[id].second.insert(pid);
    }
  }
  std::vector<std::string> paths;
  for (const auto& [id, file] : writers) {
    if (file.second.size() > 1 && left_out.count(id) == 0) paths.push_back(file.first);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace auxin::cli
