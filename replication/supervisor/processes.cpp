// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/processes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>

#include "replication/environment.h"
#include "replication/supervisor/read_to_end.h"

namespace auxin::supervisor {
namespace {

// What PIDFD_GET_INFO fills in (<linux/pidfd.h> of kernel 6.15; older headers lack it).
struct PidfdInfo {
  uint64_t mask;
  uint64_t cgroup_id;
  uint32_t pid, tgid, ppid;
  uint32_t ids[8];
  int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr unsigned long kGetPidfdInfo = _IOWR(0xFF, 11, PidfdInfo);
constexpr uint64_t kPidfdInfoExit = 1u << 3;

constexpr char kKeeperName[] = "auxin-keeper\n";  // as replication/keeper.cpp names itself

// The whole of a /proc file; nothing if the process is gone or not ours.
std::optional<std::string> read_proc(int pid, const char* name) {
  Descriptor fd(open(fmt::format("/proc/{}/{}", pid, name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return {};
  return read_to_end(fd);
}

// The fields of /proc/PID/stat after the command's name: index 0 is the state.
std::optional<std::string_view> stat_field(const std::string& stat, int index) {
  const size_t bracket = stat.rfind(')');
  if (bracket == std::string::npos) return {};
  std::string_view rest = std::string_view(stat).substr(bracket + 1);
  for (int i = 0;; ++i) {
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    const size_t end = rest.find(' ');
    if (i == index) return rest.substr(0, end);
    if (end == std::string_view::npos) return {};
    rest.remove_prefix(end);
  }
}

template <typename Number>
std::optional<Number> parse(std::string_view text, int base = 10) {
  Number number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || rest == text.data()) return {};
  return number;
}

std::optional<std::string_view> variable(const std::string& environment, std::string_view name) {
  std::string_view rest = environment;
  while (!rest.empty()) {
    const size_t end = rest.find('\0');
    const std::string_view entry = rest.substr(0, end);
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return {};
}

std::vector<int> all_processes() {
  std::vector<int> pids;
  DIR* proc = opendir("/proc");
  if (proc == nullptr) return pids;
  while (const dirent* entry = readdir(proc)) {
    if (const auto pid = parse<int>(entry->d_name)) pids.push_back(*pid);
  }
  closedir(proc);
  return pids;
}

// Which replica of the group a process was started as.
std::optional<int> replica_of(int pid, const std::string& memory_path) {
  const auto environment = read_proc(pid, "environ");
  if (!environment) return {};
  const auto group = variable(*environment, replication::kGroupVariable);
  if (!group || *group != memory_path) return {};
  const auto replica = variable(*environment, replication::kReplicaVariable);
  return replica ? parse<int>(*replica) : std::nullopt;
}

// One of the masks of /proc/PID/status.
std::optional<uint64_t> signal_mask(const std::string& status, const std::string& name) {
  const size_t at = status.find("\n" + name + ":\t");
  if (at == std::string::npos) return {};
  return parse<uint64_t>(std::string_view(status).substr(at + name.size() + 3), 16);
}

}  // namespace

bool process_lives(int pid) {
  if (pid <= 0) return false;
  const auto stat = read_proc(pid, "stat");
  if (!stat) return false;
  const auto state = stat_field(*stat, 0);
  return state && *state != "Z" && *state != "X";
}

uint64_t start_time_ticks(int pid) {
  const auto stat = read_proc(pid, "stat");
  if (!stat) return 0;
  const auto field = stat_field(*stat, 19);
  return field ? parse<uint64_t>(*field).value_or(0) : 0;
}

std::vector<Member> members_of(const std::string& memory_path) {
  std::vector<Member> members;
  for (const int pid : all_processes()) {
    const auto replica = replica_of(pid, memory_path);
    if (!replica || !process_lives(pid)) continue;
    members.push_back({pid, *replica, read_proc(pid, "comm") == kKeeperName});
  }
  return members;
}

bool replicas_live(const std::vector<Member>& members) {
  return std::any_of(members.begin(), members.end(),
                     [](const Member& member) { return !member.keeper; });
}

std::vector<std::string> memories_in_use() {
  std::set<std::string> paths;
  for (const int pid : all_processes()) {
    const auto environment = read_proc(pid, "environ");
    if (!environment) continue;
    const auto group = variable(*environment, replication::kGroupVariable);
    if (group && group->starts_with('/') && process_lives(pid)) paths.emplace(*group);
  }
  return {paths.begin(), paths.end()};
}

bool is_member(int pid, const std::string& memory_path, int replica) {
  return process_lives(pid) && replica_of(pid, memory_path) == replica;
}

Descriptor open_process(int pid) {
  return Descriptor(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

void signal_process(const Descriptor& pidfd, int signal) {
  if (pidfd.valid()) syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0);
}

bool has_ended(const Descriptor& pidfd) {
  if (!pidfd.valid()) return true;
  pollfd poll_entry = {pidfd.get(), POLLIN, 0};
  return poll(&poll_entry, 1, 0) > 0;
}

std::optional<int> wait_status_of_stranger(const Descriptor& pidfd) {
  PidfdInfo info{};
  info.mask = kPidfdInfoExit;
  if (!pidfd.valid() || ioctl(pidfd.get(), kGetPidfdInfo, &info) != 0) return {};
  if ((info.mask & kPidfdInfoExit) == 0) return {};
  return info.exit_code;
}

bool would_die_of(int pid, int signal) {
  const auto status = read_proc(pid, "status");
  if (!status) return false;
  const uint64_t bit = uint64_t{1} << (signal - 1);
  for (const char* name : {"SigBlk", "SigIgn", "SigCgt"}) {
    const auto mask = signal_mask(*status, name);
    if (!mask || (*mask & bit) != 0) return false;
  }
  return true;
}

}  // namespace auxin::supervisor
