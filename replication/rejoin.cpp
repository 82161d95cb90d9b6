// SPDX-License-Identifier: Apache-2.0
#include "replication/rejoin.h"

#include <fcntl.h>
#include <string.h>

#include <atomic>

#include "checkpoint/process/process_image.h"
#include "checkpoint/process/thread_restart.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/process_watch.h"
#include "libmeta_os/thread_numbers.h"
#include "replication/connection.h"
#include "replication/environment.h"
#include "replication/follower_scheduling.h"
#include "replication/keeper.h"
#include "replication/kernel_identity.h"
#include "replication/listener.h"
#include "replication/live_part.h"
#include "replication/live_waits.h"
#include "replication/replica.h"
#include "replication/saver.h"
#include "replication/standard_output.h"
#include "stmemu/check.h"

namespace auxin::replication {
namespace {

using checkpoint::ParkedThread;
using checkpoint::SavedDescriptor;

thread_local constinit const checkpoint::SavedContext* stewards_beginning = nullptr;
std::atomic<int> steward{0};
bool led_in_image = false;

// Supervisors find a group's processes by what /proc/PID/environ says.
void correct_environment(int id) {
  char text[4096];
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>("/proc/self/stat"),
                              O_RDONLY | O_CLOEXEC);
  const long size = fd < 0 ? -1
                           : raw_syscall(SYS_read, fd, reinterpret_cast<long>(text),
                                         sizeof text - 1);
  if (fd >= 0) raw_syscall(SYS_close, fd);
  if (size <= 0) return;
  text[size] = '\0';
  const char* at = strrchr(text, ')');
  uint64_t bounds[2] = {0, 0};  // fields 50 and 51: env_start, env_end
  for (int field = 3; at != nullptr && field <= 51; ++field) {
    at = strchr(at + 1, ' ');
    if (at == nullptr) return;
    if (field < 50) continue;
    for (const char* digit = at + 1; *digit >= '0' && *digit <= '9'; ++digit)
      bounds[field - 50] = bounds[field - 50] * 10 + static_cast<uint64_t>(*digit - '0');
  }
  auto* const begin = reinterpret_cast<char*>(bounds[0]);
  const size_t length = strlen(kReplicaVariable);
  for (char* entry = begin; entry < begin + (bounds[1] - bounds[0]); entry += strlen(entry) + 1)
    if (strncmp(entry, kReplicaVariable, length) == 0 && entry[length] == '=' &&
        entry[length + 1] != '\0' && entry[length + 2] == '\0')
      entry[length + 1] = static_cast<char>('0' + id);
}

// The process follows from the place in the log where its image was taken; or, if the group has
// gone back to this image, from where its history goes on.
void follow_from_here() {
  const GroupControl& control = replica->control();
  const bool goes_back = control.restored_checkpoint.load() == saved_number();
  const uint64_t position = goes_back ? control.restored_position.load() : saved_position();
  replica->slot().position.store(position);
  if (goes_back) {
    Connection::for_each([](Connection& each, void*) { each.leave_history(); }, nullptr);
    Listener::for_each([](Listener& each, void*) { each.queue() = {}; }, nullptr);
  }
  if (goes_back || replica->leads()) replay.start(position);
  if (!replica->leads()) return;
  replica->set_mode(Mode::kFollower);
  Connection::for_each([](Connection& each, void*) { each.follow_again(); }, nullptr);
  note_restored_waits();
  led_in_image = true;
}

void thread_arrived(ParkedThread& self) {
  leave_robust_locks(self.thread_pointer, self.clear_tid, self.robust_list);
  if (self.is_main != 0) {
    const int id = static_cast<int>(checkpoint::restore_parameter());
    os::become_restored_process();
    os::number_of_restored_thread.store(
        [](pthread_t thread) { return checkpoint::number_of_thread(thread); });
    replica->become(id);
    correct_environment(id);
    follow_from_here();
  }
  if (live_state_now() == LiveState::kWaits) self.ends_call = 1;
  if (stewards_beginning != nullptr) {
    self.elsewhere = stewards_beginning;
    steward.store(self.tid);
    const auto taken = replica->slot().life.lock(real_mutex_calls());
    CHECK(taken != stm::RobustLock::Taken::kFailed, "a replica's life lock can be taken");
  }
  Replica::enter_again();
}

bool claim_descriptor(const SavedDescriptor& saved) {
  if (claim_standard_output(saved.fd)) return true;
  struct Search { const SavedDescriptor& saved; bool found; } search{saved, false};
  Connection::for_each([](Connection& connection, void* context) {
    auto& wanted = *static_cast<Search*>(context);
    if (!wanted.found)
      wanted.found = connection.fetch_again(wanted.saved.fd, wanted.saved.close_on_exec != 0);
  }, &search);
  if (search.found) return true;
  Listener::for_each([](Listener& listener, void* context) {
    auto& wanted = *static_cast<Search*>(context);
    if (!wanted.found && listener.fd() == wanted.saved.fd) {
      listener.fetch_again(wanted.saved.close_on_exec != 0, wanted.saved.listens());
      wanted.found = true;
    }
  }, &search);
  return search.found;
}

void before_threads_go_on() {
  start_keeper_alone();
  if (led_in_image) {
    led_in_image = false;
    hold_standard_output_back();
    schedule_as_follower();
  }
  replica->enter_slot();
}

}  // namespace

void prepare_rejoin() {
  checkpoint::RestoreHooks hooks;
  hooks.claim_descriptor = claim_descriptor;
  // In a passive style nobody else executes; else the leader writes the same files.
  hooks.owns_files = [] { return is_passive(replica->control().style.load()); };
  hooks.thread_arrived = thread_arrived;
  hooks.before_threads_go_on = before_threads_go_on;
  checkpoint::set_restore_hooks(hooks);
}

void this_is_the_steward(const checkpoint::SavedContext* beginning) {
  stewards_beginning = beginning;
  begins_anew_when_restored();
  steward.store(static_cast<int>(raw_syscall(SYS_gettid)));
}

int steward_number() { return steward.load(); }

}  // namespace auxin::replication
