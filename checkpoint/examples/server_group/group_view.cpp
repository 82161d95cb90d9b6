// SPDX-License-Identifier: Apache-2.0
#include "group_view.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace server_group {

bool FileLock::try_take(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0) {
    release();
    file_ = file;
    return true;
  }
  if (file >= 0) close(file);
  return false;
}

void FileLock::release() {
  if (file_ >= 0) close(file_);
  file_ = -1;
}

bool View::has(uint64_t member) const {
  return std::find(members.begin(), members.end(), member) != members.end();
}

void View::remove(uint64_t member) {
  members.erase(std::remove(members.begin(), members.end(), member), members.end());
}

std::string GroupDirectory::alive(uint64_t member) const {
  return path_ + "/alive-" + std::to_string(member);
}

bool GroupDirectory::is_alive(uint64_t member) const {
  FileLock lock;
  if (!lock.try_take(alive(member))) return true;
  unlink(alive(member).c_str());
  return false;
}

View GroupDirectory::read_view() const {
  View view;
  std::ifstream file(path_ + "/view");
  file >> view.number;
  for (uint64_t member = 0; file >> member;) view.members.push_back(member);
  return view;
}

bool GroupDirectory::write_view(View* view) const {
  std::ostringstream text;
  text << ++view->number << '\n';
  for (const uint64_t member : view->members) text << member << '\n';
  const std::string unfinished = path_ + "/view.unfinished", bytes = text.str();
  const int file = open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const bool whole = write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  return close(file) == 0 && whole && rename(unfinished.c_str(), (path_ + "/view").c_str()) == 0;
}

}  // namespace server_group
