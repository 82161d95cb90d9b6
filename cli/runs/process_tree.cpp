// SPDX-License-Identifier: Apache-2.0
#include "cli/runs/process_tree.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

namespace auxin::cli {
namespace {

namespace fs = std::filesystem;

struct Stat {
  char state = 0;
  pid_t parent = 0;
  uint64_t time = 0;
};

// Of /proc/PID or of a thread's directory; the name in parentheses may have blanks and parentheses
// itself.
bool read_stat(const std::string& directory, Stat* stat) {
  std::ifstream file(directory + "/stat");
  std::string line;
  if (!std::getline(file, line)) return false;
  const size_t end = line.rfind(')');
  if (end == std::string::npos) return false;
  std::istringstream rest(line.substr(end + 1));
  std::string skipped;
  rest >> stat->state >> stat->parent;
  for (int field = 5; field < 14; ++field) rest >> skipped;
  uint64_t user = 0, system = 0;
  rest >> user >> system;
  stat->time = user + system;
  return static_cast<bool>(rest);
}

bool read_stat(pid_t pid, Stat* stat) { return read_stat(fmt::format("/proc/{}", pid), stat); }

void add_listening(const std::string& path, std::set<std::string>* inodes) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::vector<std::string> fields;
    for (std::string word; words >> word;) fields.push_back(word);
    if (fields.size() > 9 && fields[3] == "0A") inodes->insert(fields[9]);
  }
}

// /proc/net/unix: Num RefCount Protocol Flags Type St Inode Path; flag 0x10000: it listens.
void add_listening_unix(const std::string& path, std::set<std::string>* inodes) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string number, references, protocol, flags, type, state, inode;
    words >> number >> references >> protocol >> flags >> type >> state >> inode;
    if (words && flags == "00010000") inodes->insert(inode);
  }
}

}  // namespace

std::vector<pid_t> process_tree(pid_t root) {
  std::multimap<pid_t, pid_t> children;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    Stat stat;
    if (parsed.ec == std::errc() && read_stat(pid, &stat)) children.emplace(stat.parent, pid);
  }
  std::vector<pid_t> tree = {root};
  for (size_t i = 0; i < tree.size(); ++i) {
    const auto [first, last] = children.equal_range(tree[i]);
    for (auto child = first; child != last; ++child) tree.push_back(child->second);
  }
  return tree;
}

bool any_listens(const std::vector<pid_t>& pids) {
  for (const pid_t pid : pids) {
    const std::string process = fmt::format("/proc/{}", pid);
    std::set<std::string> inodes;
    add_listening(process + "/net/tcp", &inodes);
    add_listening(process + "/net/tcp6", &inodes);
    add_listening_unix(process + "/net/unix", &inodes);
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(process + "/fd", ignored)) {
      const std::string target = fs::read_symlink(entry.path(), ignored);
      if (target.starts_with("socket:[") &&
          inodes.contains(target.substr(8, target.size() - 9))) {
        return true;
      }
    }
  }
  return false;
}

uint64_t processor_time(const std::vector<pid_t>& pids) {
  uint64_t sum = 0;
  for (const pid_t pid : pids) {
    Stat stat;
    if (read_stat(pid, &stat)) sum += stat.time;
  }
  return sum;
}

bool any_wants_processor(const std::vector<pid_t>& pids) {
  for (const pid_t pid : pids) {
    std::error_code ignored;
    for (const fs::directory_entry& thread :
         fs::directory_iterator(fmt::format("/proc/{}/task", pid), ignored)) {
      Stat stat;
      if (read_stat(thread.path().string(), &stat) && (stat.state == 'R' || stat.state == 'D')) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace auxin::cli
