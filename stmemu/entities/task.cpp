// SPDX-License-Identifier: Apache-2.0
//
// class StableTask of <auxin/stm_entities.h> (paper 001, §3.2.1), and how a processor runs one.
//
// Who runs a task holds its lease: a stable object that is open in a transaction of the running
// thread's, which does nothing else and ends when the entry function returns. When the thread dies,
// its context's robust lock tells (contexts.h), and whoever wants the lease next gets it.
#include <unistd.h>

#include "stmemu/entities/rights.h"
#include "stmemu/entities/task_entries.h"
#include "stmemu/interface/environment.h"

namespace auxin::stm {
namespace {

bool look_at_task(EntityAccess& access, uint64_t reference, TaskRecord* task) {
  return reference != 0 &&
         access.look(record_address(reference), ObjectKind::kTask, kTaskRecordType, task) &&
         task->reference == reference;
}

TaskRecord demand_task(EntityAccess& access, uint64_t reference) {
  TaskRecord task;
  if (!look_at_task(access, reference, &task)) {
    detail::raise(Status::kNoRight, "the stable task is no more");
  }
  return task;
}

// Claims the record, to change it.
TaskRecord read_task(EntityAccess& access, uint64_t reference) {
  demand_task(access, reference);
  return access.read<TaskRecord>(record_address(reference));
}

void set_owner(EntityAccess& access, uint64_t memory_object, uint64_t task) {
  const uint64_t address = record_address(memory_object);
  MemoryObjectRecord record;
  if (!access.look(address, ObjectKind::kMemoryObject, 0, &record) ||
      record.reference != memory_object) {
    detail::raise(Status::kNoRight, "the stable memory object is no more");
  }
  record = access.read<MemoryObjectRecord>(address);
  if (task != 0 && record.task != 0) {
    detail::raise(Status::kBusy, "the stable memory object \"" + std::string(record.name) +
                                     "\" is a task's already");
  }
  record.task = task;
  access.write(address, record);
}

// The right of the calling thread to run a task, until it goes or the thread dies.
class Lease {
 public:
  explicit Lease(PhysicalMemory& memory) : memory_(memory) {}
  ~Lease() {
    if (activation_ != nullptr && activation_->active()) static_cast<void>(activation_->abort());
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  // False: another thread has it.
  bool take(uint64_t address, Wait wait) {
    Status status = Activation::make(memory_, &activation_);
    if (status != Status::kOk) detail::raise(status, "no context is free to run a task in");
    activation_->set_system(true);
    activation_->set_quiet(true);
    status = activation_->begin();
    if (status == Status::kOk) status = activation_->open(address, OpenFor::kReading, wait);
    if (status == Status::kOk) return true;
    if (status == Status::kConflict) return false;
    detail::raise(Status::kNoRight, "the stable task is no more (" + activation_->message() + ")");
  }

 private:
  PhysicalMemory& memory_;
  std::unique_ptr<Activation> activation_;
};

bool is_leased(PhysicalMemory& memory, uint64_t address) {
  Lease lease(memory);
  return !lease.take(address, Wait::none());
}

}  // namespace

StableTask StableTask::create(const std::string& name, const std::string& entry,
                              const MemoryObject& memory) {
  EntityAccess access("a stable task can't be made");
  if (name.empty()) detail::raise(Status::kTooLarge, "a stable task has a name");
  if (entry.size() > kLongestEntityName) {
    detail::raise(Status::kTooLarge, "the name of an entry has up to 47 bytes");
  }
  TaskRecord task = {};
  const uint64_t address = access.make_empty(ObjectKind::kTask, kTaskRecordType, sizeof(task));
  task.reference = new_reference(address);
  name_entity(access, ObjectKind::kTask, name, task.reference);
  memcpy(task.name, name.data(), name.size());
  memcpy(task.entry, entry.data(), entry.size());
  task.lease = access.make(ObjectKind::kTask, kTaskLeaseType, TaskLease{task.reference});
  task.rights = make_rights(access);
  task.memory_object = Inside::reference(memory);
  if (task.memory_object != 0) set_owner(access, task.memory_object, task.reference);
  access.write(address, task);
  return Inside::task(task.reference);
}

StableTask StableTask::find(const std::string& name) {
  return in_transaction("a stable task can't be looked up", [&](EntityAccess& access) {
    return Inside::task(find_entity(access, ObjectKind::kTask, name));
  });
}

StableTask StableTask::current() {
  const Environment* mine = current_environment();
  return Inside::task(mine != nullptr ? mine->task : 0);
}

void StableTask::give(StablePort port, Right right) const {
  EntityAccess access("a right can't be given");
  demand_task(access, reference_);
  demand_right(access, demand_port(access, port.raw()), right);
  gain_right(access, reference_, port.raw(), right);
}

void StableTask::make_ready() const {
  EntityAccess access("a stable task can't be changed");
  TaskRecord task = read_task(access, reference_);
  task.state = static_cast<uint64_t>(TaskState::kReady);
  access.write(record_address(reference_), task);
}

void StableTask::destroy() const {
  EntityAccess access("a stable task can't be removed");
  const TaskRecord task = read_task(access, reference_);
  const Status status = access.activation().open(task.lease, OpenFor::kChanging, Wait::none());
  if (status == Status::kConflict) {
    detail::raise(Status::kBusy, "the stable task \"" + std::string(task.name) + "\" runs");
  }
  access.check(status);
  access.check(access.activation().free(task.lease));
  for (const PortRecord& port : ports_of(access, reference_)) remove_port(access, port.reference);
  if (task.memory_object != 0) set_owner(access, task.memory_object, 0);
  access.free(task.rights);
  access.free(record_address(reference_));
  forget_name(access, ObjectKind::kTask, task.name);
}

TaskReport StableTask::report() const {
  return in_transaction("a stable task can't be looked at", [&](EntityAccess& access) {
    const TaskRecord task = demand_task(access, reference_);
    return TaskReport{task.name,
                      task.entry,
                      task.starts,
                      is_leased(access.memory(), task.lease),
                      task.state == static_cast<uint64_t>(TaskState::kFinished),
                      static_cast<uint32_t>(task.pid)};
  });
}

bool run_task(const std::string& name, uint64_t wait_us) {
  return run_task_in(Inside::here(), name, wait_us);
}

bool run_task_in(const Memory& memory, const std::string& name, uint64_t wait_us) {
  const std::shared_ptr<MemoryCore>& core = Inside::core(memory);
  if (Transaction::current() != nullptr || current_environment() != nullptr) {
    detail::raise(Status::kNested, "a thread runs one task at a time, outside of transactions");
  }
  TaskRecord task = {};
  const uint64_t reference = atomically(memory, [&](Transaction&) {
    EntityAccess access("a stable task can't be run");
    const uint64_t found = find_entity(access, ObjectKind::kTask, name);
    return look_at_task(access, found, &task) ? found : 0;
  });
  if (reference == 0) detail::raise(Status::kNoRight, "there is no stable task \"" + name + "\"");
  const EntryFunction entry = find_entry(task.entry);
  if (!entry) {
    detail::raise(Status::kRefused, "the stable task \"" + name + "\" begins at \"" + task.entry +
                                        "\", which is not registered in this program");
  }
  Lease lease(core->physical);
  if (!lease.take(task.lease, Wait::up_to_us(wait_us))) return false;
  const bool finished = atomically(memory, [&](Transaction&) {
    EntityAccess access("a stable task can't be run");
    task = read_task(access, reference);
    if (task.state == static_cast<uint64_t>(TaskState::kFinished)) return true;
    task.starts += 1;
    task.pid = static_cast<uint64_t>(getpid());
    access.write(record_address(reference), task);
    return false;
  });
  if (finished) return true;
  {
    const Environment environment = {reference, core.get(),
                                     Inside::memory(core, task.memory_object)};
    const EnterEnvironment entered(environment);
    entry(Inside::task(reference));
  }
  atomically(memory, [&](Transaction&) {
    EntityAccess access("a stable task can't end");
    if (!look_at_task(access, reference, &task)) return;
    task = access.read<TaskRecord>(record_address(reference));
    task.state = static_cast<uint64_t>(TaskState::kFinished);
    access.write(record_address(reference), task);
  });
  return true;
}

}  // namespace auxin::stm
