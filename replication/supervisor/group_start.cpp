// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/group_start.h"

#include <errno.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "replication/supervisor/installation.h"
#include "replication/supervisor/log_check.h"
#include "replication/supervisor/log_size.h"
#include "replication/supervisor/processes.h"
#include "replication/supervisor/progress.h"
#include "replication/supervisor/sentence.h"
#include "replication/supervisor/server_check.h"

namespace auxin::supervisor {
namespace {

namespace fs = std::filesystem;
using replication::GroupControl;
using replication::GroupPhase;
using replication::Role;
using replication::Settings;
using replication::Style;

constexpr char kInitialCopyDirectory[] = "initial";
constexpr int kKillPatienceMs = 5000;

// Everything that can be known before the state directory is touched.
struct Checked {
  std::string name;
  std::string working_directory;
  Launch launch;
  Settings settings;
};

Result<std::string> group_name(const Configuration& configuration) {
  if (!configuration.name.empty()) {
    if (valid_group_name(configuration.name)) return configuration.name;
    return Error{fmt::format("'{}' can't be a group's name; use 1 to 63 characters out of A-Z a-z "
                             "0-9 . _ -",
                             configuration.name)};
  }
  const std::string name = fs::path(configuration.server[0]).filename();
  if (valid_group_name(name)) return name;
  return Error{fmt::format("the server's file name '{}' can't be a group's name; give one with "
                           "--name",
                           name)};
}

Result<std::string> current_directory() {
  std::error_code error;
  const fs::path path = fs::current_path(error);
  if (!error) return path.string();
  return Error{fmt::format("the working directory can't be told, perhaps it was removed: {}; "
                           "change to another one",
                           error.message())};
}

Result<Checked> check(const Configuration& configuration) {
  Checked checked;
  auto working_directory = current_directory();
  if (!working_directory) return Error{working_directory.error()};
  checked.working_directory = *working_directory;
  if (configuration.replicas < 1 || configuration.replicas > replication::kMaxReplicas) {
    return Error{fmt::format("--replicas must be from 1 to {}, not {}", replication::kMaxReplicas,
                             configuration.replicas)};
  }
  if (configuration.order_every_lock &&
      (configuration.replicas != 1 || configuration.style != Style::kSemiActive)) {
    return Error{"locks.order = \"all\" is there to measure what it costs: it needs --replicas 1 "
                 "and the style semi-active"};
  }
  if (configuration.server.empty()) {
    return Error{"no server given; say which program to run: auxin run [OPTION…] -- SERVER "
                 "[ARG…]"};
  }
  auto program = find_program(configuration.server[0]);
  if (!program) return Error{program.error()};
  if (std::string fault = server_fault(*program); !fault.empty()) return Error{fault};
  auto name = group_name(configuration);
  if (!name) return Error{name.error()};
  checked.name = *name;
  auto library = find_library();
  if (!library) return Error{library.error()};
  auto maps = find_map_directory(configuration.map_directory);
  if (!maps) return Error{maps.error()};
  if (configuration.style != Style::kNone) {
    const std::string fault = map_fault(*maps, *program, libraries_of(*program));
    if (!fault.empty()) return Error{fault};
  }
  auto settings = settings_from(configuration, *maps);
  if (!settings) return Error{settings.error()};
  checked.settings = *settings;
  if (std::string fault = ReadyFile(configuration.ready_file).fault(); !fault.empty()) {
    return Error{fault};
  }

  Launch& launch = checked.launch;
  launch.program = *program;
  launch.arguments = configuration.server;
  launch.library = *library;
  launch.environment = configuration.environment;
  // Several replicas can't read one input alike; a terminal stops what is in the background.
  launch.keep_standard_input = settings->replica_count == 1 && !isatty(STDIN_FILENO);
  return checked;
}

bool exists(const std::string& path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0;
}

// The words of the replicas that no process stands behind.
void forget_processes(GroupControl& control) {
  for (auto& replica : control.replicas) {
    replica.pid.store(0);
    replica.child_pid.store(0);
    replica.keeper_pid.store(0);
    replica.ready.store(0);
    if (replica.role.load() != Role::kAbsent) replica.role.store(Role::kDead);
  }
}

Result<bool> become_supervisor(GroupControl& control) {
  const auto taken = control.supervisor.try_lock(stm::plain_mutex_calls());
  if (taken == stm::RobustLock::Taken::kBusy) return Error{"another process supervises the group"};
  if (taken == stm::RobustLock::Taken::kFailed) return Error{"its supervisor lock is unusable"};
  control.supervisor_pid.store(getpid());
  return true;
}

// What to do with a memory that is there already.
class Existing {
 public:
  Existing(const Configuration& configuration, const Checked& checked,
           const StateDirectory& directory)
      : configuration_(configuration), checked_(checked), directory_(directory) {}

  // kFresh also means that the old group may be swept away.
  Result<StartKind> decide() {
    if (configuration_.start == StartMode::kFresh) return StartKind::kFresh;
    const std::string hint = "--fresh starts the group anew and gives its state up";
    auto opened = GroupMemory::open(directory_.memory_path(), false);
    if (!opened) return Error{fmt::format("{}; {}", opened.error(), hint)};
    const GroupControl& control = opened->control();
    const bool lives = replicas_live(members_of(directory_.memory_path()));
    const GroupPhase phase = control.phase.load();

    if (!lives && (phase == GroupPhase::kStarting || phase == GroupPhase::kEnding ||
                   phase == GroupPhase::kEnded || control.style.load() == Style::kNone)) {
      if (configuration_.start == StartMode::kResume) return nothing_to_resume();
      return StartKind::kFresh;
    }
    auto record = StartRecord::load(directory_.path());
    if (!record) return Error{fmt::format("{}; {}", record.error(), hint)};
    if (std::string fault = difference(control, *record, lives); !fault.empty()) {
      return Error{fmt::format("{}; {}", fault, hint)};
    }
    if (!lives) {
      if (std::string fault = resume_fault(*opened, *record); !fault.empty()) {
        return Error{fmt::format("{}; {}", fault, hint)};
      }
    }
    memory_.emplace(std::move(*opened));
    record_ = std::move(*record);
    return lives ? StartKind::kAdopt : StartKind::kResume;
  }

  Error nothing_to_resume() const {
    return Error{fmt::format("there is nothing to resume: group {} ended in an orderly way or "
                             "never ran; start it without --resume",
                             checked_.name)};
  }

  GroupMemory take_memory() { return std::move(*memory_); }
  StartRecord take_record() { return std::move(record_); }

 private:
  // Why the group is not the one that the command line describes.
  std::string difference(const GroupControl& control, const StartRecord& record,
                         bool lives) const {
    if (!record.same_server(configuration_.server)) {
      return fmt::format("group {} {} another command ({}); give it, or another --name",
                         checked_.name, lives ? "runs" : "was started with",
                         quote_command(record.server));
    }
    if (control.style.load() != checked_.settings.style) {
      return fmt::format("group {} has style {}; give it, or another --name", checked_.name,
                         style_name(control.style.load()));
    }
    if (lives && control.settings.replica_count != checked_.settings.replica_count) {
      return fmt::format("group {} runs with {} replicas; give --replicas {}, or another --name",
                         checked_.name, control.settings.replica_count,
                         control.settings.replica_count);
    }
    return {};
  }

  std::string resume_fault(const GroupMemory& memory, const StartRecord& record) const {
    if (record.boot_id != current_boot_id()) {
      return fmt::format("group {} can't be resumed: its memory is from before this host's last "
                         "start and may be incomplete",
                         checked_.name);
    }
    if (memory.log().begin() != 0) {
      return fmt::format("group {} can't be resumed: its log no longer reaches back to its start "
                         "(it begins at entry {})",
                         checked_.name, memory.log().begin());
    }
    if (memory.control().phase.load() == GroupPhase::kStopped &&
        configuration_.start != StartMode::kResume) {
      return fmt::format("group {} was stopped: {}; --resume tries again", checked_.name,
                         load_text(memory.control().stop_reason));
    }
    const Progress progress(configuration_.verbosity, checked_.name);
    const std::string fault = log_fault(memory, [&](uint64_t entries, uint64_t all) {
      progress.event(fmt::format("checking the log before it is resumed: {} of {} entries", entries,
                                 all));
    });
    return fault.empty() ? fault : fault + ", so the group can't be resumed";
  }

  const Configuration& configuration_;
  const Checked& checked_;
  const StateDirectory& directory_;
  std::optional<GroupMemory> memory_;
  StartRecord record_;
};

Error processes_remain(const StateDirectory& directory) {
  return Error{fmt::format("{}: processes of the old group do not end; end them first",
                           directory.path())};
}

Result<PreparedGroup> start_fresh(const Configuration& configuration, Checked checked,
                                  StateDirectory directory) {
  if (!kill_members(directory.memory_path())) return processes_remain(directory);
  directory.clear();
  StartRecord record;
  record.server = configuration.server;
  record.working_directory = checked.working_directory;
  record.boot_id = current_boot_id();
  std::error_code ignored;
  if (!configuration.ready_file.empty()) {
    record.ready_file = fs::absolute(configuration.ready_file, ignored);
  }
  for (const std::string& reference : configuration.objects) {
    const bool file = reference.starts_with("file:");
    record.objects.push_back(
        file ? "file:" + fs::absolute(reference.substr(5), ignored).string() : reference);
  }
  if (!configuration.portable_file.empty())
    record.portable_file = fs::absolute(configuration.portable_file, ignored);
  record.portable_every_s = configuration.portable_every_s;
  record.root_created = directory.root_created();
  InitialCopy initial_copy(directory.path() + "/" + kInitialCopyDirectory);
  const int count = static_cast<int>(checked.settings.replica_count);

  auto build = [&]() -> Result<GroupMemory> {
    if (auto saved = record.save(directory.path()); !saved) return Error{saved.error()};
    if (checked.settings.style != Style::kNone) {
      const std::vector<std::string> arguments(configuration.server.begin() + 1,
                                               configuration.server.end());
      auto taken = initial_copy.take(arguments, count, record.working_directory);
      if (!taken) return Error{taken.error()};
    }
    auto free_bytes = free_space_bytes(directory.path());
    if (!free_bytes) return Error{free_bytes.error()};
    auto layout = choose_layout({configuration.log_entries, configuration.log_payload_bytes},
                                      *free_bytes, directory.path());
    if (!layout) return Error{layout.error()};
    return GroupMemory::create(directory.memory_path(), checked.name, *layout, checked.settings);
  };
  auto memory = build();
  if (memory) {
    if (auto supervises = become_supervisor(memory->control()); !supervises) {
      memory = Error{supervises.error()};
    }
  }
  if (!memory) {
    directory.remove(directory.root_created());
    return Error{memory.error()};
  }
  checked.launch.memory_path = directory.memory_path();
  ReadyFile ready_file(configuration.ready_file);
  return PreparedGroup{std::move(directory), std::move(*memory),    std::move(record),
                       std::move(initial_copy), std::move(checked.launch), std::move(ready_file),
                       StartKind::kFresh};
}

Result<PreparedGroup> start_existing(const Configuration& configuration, Checked checked,
                                     StateDirectory directory, GroupMemory memory,
                                     StartRecord record, StartKind kind) {
  GroupControl& control = memory.control();
  if (auto supervises = become_supervisor(control); !supervises) {
    return Error{fmt::format("group {} can't be taken over: {}", checked.name,
                             supervises.error())};
  }
  if (kind == StartKind::kResume) {
    // Keepers of the dead still hold the group's sockets, its ports among them.
    if (!kill_members(directory.memory_path())) return processes_remain(directory);
    forget_processes(control);
    control.settings = checked.settings;
    control.style.store(checked.settings.style);
    control.stop_reason[0] = '\0';
    control.phase.store(GroupPhase::kRunning);
    control.end_asked_until_ns.store(0);
  }
  checked.launch.memory_path = directory.memory_path();
  checked.launch.working_directory = record.working_directory;
  InitialCopy initial_copy(directory.path() + "/" + kInitialCopyDirectory);
  ReadyFile ready_file(configuration.ready_file);
  return PreparedGroup{std::move(directory), std::move(memory),    std::move(record),
                       std::move(initial_copy), std::move(checked.launch), std::move(ready_file),
                       kind};
}

Error supervised_already(const std::string& name, const StateDirectory& directory) {
  std::string who = "another `auxin run`";
  if (auto memory = GroupMemory::open(directory.memory_path(), true)) {
    const int pid = memory->control().supervisor_pid.load();
    if (pid > 0) who += fmt::format(" (pid {})", pid);
  }
  return Error{fmt::format("group {} is supervised by {} already; choose another --name, or end it "
                           "with `auxin stop {}`",
                           name, who, name)};
}

}  // namespace

bool kill_members(const std::string& memory_path) {
  for (int waited_ms = 0; waited_ms < kKillPatienceMs;) {
    const std::vector<Member> members = members_of(memory_path);
    if (members.empty()) return true;
    for (const Member& member : members) {
      const Descriptor process = open_process(member.pid);
      if (!is_member(member.pid, memory_path, member.replica)) continue;
      signal_process(process, SIGKILL);
      pollfd ended = {process.get(), POLLIN, 0};
      if (poll(&ended, 1, 10) == 0) waited_ms += 10;
    }
    ++waited_ms;
  }
  return false;
}

Result<PreparedGroup> prepare_group(const Configuration& configuration) {
  auto checked = check(configuration);
  if (!checked) return Error{checked.error()};

  auto claimed = StateDirectory::claim(configuration.state_root, checked->name, true);
  switch (claimed.outcome) {
    case StateDirectory::Claim::kClaimed: break;
    case StateDirectory::Claim::kBusy: return supervised_already(checked->name, claimed.directory);
    case StateDirectory::Claim::kAbsent:
    case StateDirectory::Claim::kRefused: return Error{claimed.message};
  }
  ReadyFile(configuration.ready_file).remove();  // of a supervisor that was killed
  StateDirectory& directory = claimed.directory;
  Existing existing(configuration, *checked, directory);
  StartKind kind = StartKind::kFresh;
  if (exists(directory.memory_path())) {
    auto decided = existing.decide();
    if (!decided) return Error{decided.error()};
    kind = *decided;
  } else if (configuration.start == StartMode::kResume) {
    const Error error = existing.nothing_to_resume();
    if (directory.created()) directory.remove(directory.root_created());
    return error;
  }
  if (kind == StartKind::kFresh) {
    return start_fresh(configuration, std::move(*checked), std::move(directory));
  }
  return start_existing(configuration, std::move(*checked), std::move(directory),
                        existing.take_memory(), existing.take_record(), kind);
}

Result<PreparedGroup> take_over_orphan(StateDirectory directory) {
  auto memory = GroupMemory::open(directory.memory_path(), false);
  if (!memory) return Error{memory.error()};
  if (auto supervises = become_supervisor(memory->control()); !supervises) {
    return Error{fmt::format("{}: {}", directory.path(), supervises.error())};
  }
  StartRecord record;
  if (auto loaded = StartRecord::load(directory.path())) record = std::move(*loaded);
  Launch launch;
  launch.memory_path = directory.memory_path();
  InitialCopy initial_copy(directory.path() + "/" + kInitialCopyDirectory);
  ReadyFile ready_file(record.ready_file);
  return PreparedGroup{std::move(directory), std::move(*memory), std::move(record),
                       std::move(initial_copy), std::move(launch), std::move(ready_file),
                       StartKind::kAdopt};
}

}  // namespace auxin::supervisor
