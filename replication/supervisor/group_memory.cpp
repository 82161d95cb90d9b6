// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/group_memory.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "checkpoint/tracking/tracking_method.h"
#include "stmemu/random_word.h"

namespace auxin::supervisor {
namespace {

using replication::GroupControl;
using replication::GroupPhase;
using replication::Role;
using replication::Settings;
using replication::Style;

void format_control(GroupControl& control, const std::string& name, const Settings& settings) {
  store_text(control.name, name);
  control.group_id = stm::random_word();
  control.phase.store(GroupPhase::kStarting);
  control.settings = settings;
  control.style.store(settings.style);
  control.leader.store(-1);
  control.rejoin_possible.store(1);
  control.supervisor.format();
  control.leadership.format();
  for (auto& listener : control.listeners) {
    for (auto& fd : listener.fd) fd.store(-1);
  }
  for (auto& replica : control.replicas) {
    replica.life.format();
    replica.role.store(Role::kAbsent);
  }
  for (auto& threads : control.threads) {
    for (auto& thread : threads) thread.life.format();
  }
}

bool makes_sense(const GroupControl& control) {
  const Settings& settings = control.settings;
  return valid_group_name(load_text(control.name)) &&
         settings.style <= Style::kColdPassive &&
         control.style.load() <= Style::kColdPassive &&
         settings.replica_count >= 1 && settings.replica_count <= replication::kMaxReplicas &&
         control.phase.load() <= GroupPhase::kStopped && control.leader.load() >= -1 &&
         control.leader.load() < replication::kMaxReplicas;
}

// As it was asked for: by the configuration, else by the environment. What the kernel has not, or
// what is not for whole processes, is refused here, and not when the first checkpoint is due.
Result<uint32_t> checkpoint_method(const Configuration& configuration) {
  using checkpoint::TrackingMethod;
  TrackingMethod method = configuration.checkpoint_method;
  const char* named = std::getenv("AUXIN_CHECKPOINT_METHOD");
  if (method == TrackingMethod::kAutomatic && named != nullptr &&
      !checkpoint::method_of_name(named, &method)) {
    return Error{fmt::format("AUXIN_CHECKPOINT_METHOD: {} is no method; there are wp-async, fork "
                             "and full", named)};
  }
  if (method == TrackingMethod::kFault) {
    return Error{"checkpoint method fault is not for whole processes: system calls that write to "
                 "protected memory would fail; use wp-async, fork or full"};
  }
  const checkpoint::MethodChoice choice = checkpoint::choose_method(method);
  if (!choice.available) {
    return Error{fmt::format("checkpoint method {} does not work here: {}; use fork or full",
                             checkpoint::name_of(method), choice.reason)};
  }
  return static_cast<uint32_t>(method);
}

}  // namespace

GroupMemory::GroupMemory(stm::StableMemory memory)
    : memory_(std::make_unique<stm::StableMemory>(std::move(memory))),
      log_(std::make_unique<stm::StableLog>(*memory_)) {}

Result<GroupMemory> GroupMemory::create(const std::string& path, const std::string& name,
                                        const stm::Layout& layout, const Settings& settings) {
  // Whoever opens the file by its name finds it whole: it is made under another one.
  const std::string unfinished = path + ".new";
  std::error_code error;
  std::filesystem::remove(unfinished, error);
  auto memory = stm::StableMemory::create(unfinished, layout, replication::kControlVersion);
  if (!memory) return Error{memory.error()};
  stm::StableLog::format(*memory);
  format_control(*static_cast<GroupControl*>(memory->control()), name, settings);
  std::filesystem::rename(unfinished, path, error);
  if (error) {
    std::error_code ignored;
    std::filesystem::remove(unfinished, ignored);
    return Error{fmt::format("{}: cannot name the new memory: {}", path, error.message())};
  }
  return GroupMemory(std::move(*memory));
}

Result<GroupMemory> GroupMemory::open(const std::string& path, bool read_only) {
  // Nobody else can put one there meanwhile: the directory is the user's alone.
  if (std::error_code error; std::filesystem::is_symlink(path, error)) {
    return Error{fmt::format("{}: is a symbolic link, not a group's memory; put the file itself "
                             "there",
                             path)};
  }
  auto memory = stm::StableMemory::open(path, replication::kControlVersion, read_only);
  if (!memory) return Error{memory.error()};
  if (memory->layout().control_size_bytes != replication::kControlSizeBytes) {
    return Error{fmt::format("{}: its control area has another size than this version of Auxin "
                             "uses",
                             path)};
  }
  GroupMemory group(std::move(*memory));
  if (!makes_sense(group.control())) {
    return Error{fmt::format("{}: damaged: the group's settings in it make no sense", path)};
  }
  return group;
}

Result<Settings> settings_from(const Configuration& configuration,
                               const std::string& map_directory) {
  Settings settings{};
  settings.style = configuration.style;
  settings.replica_count = configuration.style == Style::kNone ? 1 : configuration.replicas;
  settings.spin_ns = configuration.spin_ns;
  settings.follower_poll_us = configuration.follower_poll_us;
  settings.lag_bound_entries = configuration.lag_bound_entries;
  settings.stall_ms = configuration.stall_ms;
  settings.hang_ms = configuration.hang_ms;
  settings.compare = configuration.compare;
  settings.follower_one_cpu = configuration.follower_one_cpu ? 1 : 0;
  settings.checkpoint_every_s = configuration.checkpoint_every_s;
  settings.checkpoint_every_requests = configuration.checkpoint_every_requests;
  settings.checkpoint_log_percent = configuration.checkpoint_log_percent;
  settings.checkpoint_deltas = configuration.checkpoint_deltas;
  auto method = checkpoint_method(configuration);
  if (!method) return Error{method.error()};
  settings.checkpoint_method = *method;
  settings.order_every_lock = configuration.order_every_lock ? 1 : 0;
  if (map_directory.size() >= sizeof(settings.map_directory)) {
    return Error{fmt::format("{}: the path of the join-point maps is too long (at most {} bytes)",
                             map_directory, sizeof(settings.map_directory) - 1)};
  }
  store_text(settings.map_directory, map_directory);

  if (!configuration.meta_object.empty()) {
    std::error_code error;
    const std::string path = std::filesystem::absolute(configuration.meta_object, error);
    if (!std::filesystem::is_regular_file(path, error)) {
      return Error{fmt::format("{}: there is no such meta-object; correct extension.meta_object",
                               path)};
    }
    if (path.size() >= sizeof(settings.meta_object)) {
      return Error{fmt::format("{}: the meta-object's path is too long (at most {} bytes)", path,
                               sizeof(settings.meta_object) - 1)};
    }
    store_text(settings.meta_object, path);
  }
  return settings;
}

}  // namespace auxin::supervisor
