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

}  // namespace

std::vector<std::string> shared_files(const std::vector<int>& pids,
                                      const std::string& own_directory) {
  std::map<FileId, std::pair<std::string, std::set<int>>> writers;  // path, pids
  std::set<FileId> held_back;
  for (const int pid : pids) {
    const std::string process = "/proc/" + std::to_string(pid);
    std::error_code gone;
    for (auto entry = fs::directory_iterator(process + "/fd", gone);
         !gone && entry != fs::directory_iterator(); entry.increment(gone)) {
      const std::string number = entry->path().filename();
      struct stat file;
      if (stat(entry->path().c_str(), &file) != 0 || !S_ISREG(file.st_mode)) continue;
      const FileId id{file.st_dev, file.st_ino};
      if (number == "1" || number == "2") held_back.insert(id);
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
    if (file.second.size() > 1 && held_back.count(id) == 0) paths.push_back(file.first);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace auxin::cli
