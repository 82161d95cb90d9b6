// SPDX-License-Identifier: Apache-2.0
#include "replication/replica.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include <new>

#include "libmeta_os/guard.h"
#include "libmeta_os/real_calls.h"
#include "replication/futex.h"
#include "replication/rehearsal/rehearsal.h"
#include "stmemu/check.h"

namespace auxin::replication {

Replica* replica = nullptr;
thread_local constinit ThreadSlot* Replica::thread_slot = nullptr;

namespace {

alignas(Replica) char replica_storage[sizeof(Replica)];

void say(const char* text) {
  raw_syscall(SYS_write, 2, reinterpret_cast<long>(text), static_cast<long>(strlen(text)));
}

uint64_t own_start_time_ticks() {
  char buffer[512];
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>("/proc/self/stat"), 0);
  if (fd < 0) return 0;
  const long size = raw_syscall(SYS_read, fd, reinterpret_cast<long>(buffer), sizeof(buffer) - 1);
  raw_syscall(SYS_close, fd);
  if (size <= 0) return 0;
  buffer[size] = '\0';
  const char* field = strrchr(buffer, ')');
  for (int skipped = 0; field != nullptr && skipped < 20; ++skipped) field = strchr(field + 1, ' ');
  uint64_t ticks = 0;
  if (field != nullptr)
    for (++field; *field >= '0' && *field <= '9'; ++field) ticks = ticks * 10 + (*field - '0');
  return ticks;
}

}  // namespace

Replica::Replica(stm::StableMemory&& memory, int id)
    : memory_(std::move(memory)),
      control_(static_cast<GroupControl*>(memory_.control())),
      log_(memory_),
      id_(id),
      pid_(static_cast<int>(raw_syscall(SYS_getpid))) {}

Replica* Replica::join(const char* memory_path, int id, bool by_itself) {
  auto memory = by_itself ? stm::StableMemory::open_private(memory_path, kControlVersion)
                          : stm::StableMemory::open(memory_path, kControlVersion);
  if (!memory) {
    say("auxin: this process can't join its group: ");
    say(memory.error().c_str());
    say("\n");
    return nullptr;
  }
  if (id < 0 || id >= kMaxReplicas) {
    say("auxin: AUXIN_REPLICA is not a replica's number; start servers with `auxin run`\n");
    return nullptr;
  }
  Replica* made = new (replica_storage) Replica(std::move(*memory), id);
  made->slot().position.store(made->log_.begin());
  made->slot().keeper_pid.store(0);
  made->enter_slot();
  replica = made;
  return made;
}

void Replica::enter_slot() {
  ReplicaSlot& own = slot();
  own.start_time_ticks.store(own_start_time_ticks());
  own.excluded.store(0);
  own.ready.store(0);
  own.message[0] = '\0';
  own.checkpoint_answered.store(own.checkpoint_wanted.load());
  own.role.store(Role::kJoining);
  own.pid.store(pid_);
}

void Replica::become(int id) {
  CHECK(id >= 0 && id < kMaxReplicas, "a restored replica is told its number");
  id_ = id;
  pid_ = static_cast<int>(raw_syscall(SYS_getpid));
}

void Replica::enter_again() {
  if (thread_slot == nullptr) return;
  thread_slot = nullptr;
  replica->enter();
}

char* Replica::landing(int connection_slot) {
  return static_cast<char*>(memory_.control()) + kLandingOffset +
         static_cast<uint64_t>(connection_slot) * kLandingSizeBytes;
}

ThreadSlot* Replica::enter_first() {
  os::MetaLevel meta;
  // From where the last one was found on: freed slots are taken again in turn.
  static std::atomic<uint32_t> from{0};
  const uint32_t first = from.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < kMaxThreads; ++i) {
    ThreadSlot& candidate = control_->threads[id_][(first + i) % kMaxThreads];
    if (candidate.life.seems_held()) continue;
    const auto taken = candidate.life.try_lock(real_mutex_calls());
    if (taken == stm::RobustLock::Taken::kClean || taken == stm::RobustLock::Taken::kOwnerDied) {
      candidate.activity.store(0, std::memory_order_relaxed);
      candidate.pid.store(pid_, std::memory_order_relaxed);
      candidate.tid.store(static_cast<int>(raw_syscall(SYS_gettid)), std::memory_order_relaxed);
      thread_slot = &candidate;
      from.store((first + i + 1) % kMaxThreads, std::memory_order_relaxed);
      return thread_slot;
    }
  }
  leave_group(Role::kDead, "more threads than a replica may have touch its log or sockets");
}

void Replica::leave_group(Role role, const char* reason) {
  ReplicaSlot& own = slot();
  size_t length = strnlen(reason, sizeof(own.message) - 1);
  memcpy(own.message, reason, length);
  own.message[length] = '\0';
  own.role.store(role);
  if (rehearsing()) {
    end_rehearsal(role == Role::kDiverged ? Outcome::kDiverged : Outcome::kFailed, own.message);
  }
  say("auxin: ");
  say(reason);
  say("\n");
  raw_syscall(SYS_kill, pid_, SIGKILL);
  for (;;) raw_syscall(SYS_pause);
}

void note_unsupported(const char* text) {
  if (replica == nullptr) return;
  for (UnsupportedNote& note : replica->control().unsupported) {
    uint32_t state = note.used.load(std::memory_order_acquire);
    if (state == 2 && strncmp(note.text, text, sizeof(note.text) - 1) == 0) return;
    if (state == 0 && note.used.compare_exchange_strong(state, 1)) {
      const size_t length = strnlen(text, sizeof(note.text) - 1);
      memcpy(note.text, text, length);
      note.text[length] = '\0';
      note.used.store(2, std::memory_order_release);
      return;
    }
  }
}

}  // namespace auxin::replication
