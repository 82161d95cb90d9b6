// SPDX-License-Identifier: Apache-2.0
//
// States that the application's objects give and take by their own methods: given before the group
// is told ready, taken now and then.
#include <fmt/format.h>

#include "checkpoint/portable/state_transfer.h"
#include "replication/supervisor/portable_file.h"
#include "replication/supervisor/supervisor.h"

namespace auxin::supervisor {
namespace {

constexpr int64_t kServerPatienceMs = 30'000;

}  // namespace

// True: the group may be told ready.
bool Supervisor::state_is_given() {
  if (!options_.state || state_given_) return true;
  if (!state_work_.running()) {
    const std::string fault = state_work_.begin([this]() -> std::string {
      auto given = checkpoint::deliver_portable_image(*options_.state, group_.record.objects,
                                                      kServerPatienceMs);
      return given ? "" : given.error();
    });
    if (!fault.empty()) return refuse_state(fault);
  }
  const auto ended = state_work_.ended();
  if (!ended) return false;
  if (!ended->empty()) return refuse_state(*ended);
  state_given_ = true;
  progress_.event(fmt::format("{} object{} the state of the portable image",
                              options_.state->objects.size(),
                              options_.state->objects.size() == 1 ? " has" : "s have"));
  return true;
}

// What was given in part is worth nothing: the group ends, and leaves nothing behind.
bool Supervisor::refuse_state(const std::string& fault) {
  progress_.error(fmt::format("the state of the portable image can't be given to the server: {}",
                              fault));
  for (ReplicaProcess& process : processes_) process.signal_all(SIGKILL);
  kill_members(group_.launch.memory_path);
  reap();
  finish(2);
  return false;
}

void Supervisor::look_at_states() {
  const StartRecord& record = group_.record;
  if (!was_ready_ || record.objects.empty()) return;
  if (const auto ended = state_work_.ended()) {
    if (*ended != told_state_fault_ && !ended->empty())
      progress_.error(fmt::format("no portable image: {}; the last one stays", *ended));
    told_state_fault_ = *ended;
  }
  if (record.portable_every_s == 0 || state_work_.running()) return;
  if (next_states_ms_ == 0) next_states_ms_ = now_ms_;
  if (now_ms_ < next_states_ms_ || (logged() && leader() < 0)) return;
  next_states_ms_ = now_ms_ + int64_t{record.portable_every_s} * 1000;
  const std::string path = portable_file_of(record, group_.directory.path());
  checkpoint::TakingOptions taking;
  taking.lineage = portable_lineage(control());
  taking.notes = portable_notes_of(group_.directory.path());
  const std::string fault = state_work_.begin([&]() -> std::string {
    auto image = checkpoint::take_portable_image(path, record.objects, taking);
    return image ? "" : image.error();
  });
  if (!fault.empty()) progress_.error(fmt::format("no portable image: {}", fault));
}

}  // namespace auxin::supervisor
