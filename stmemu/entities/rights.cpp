// SPDX-License-Identifier: Apache-2.0
#include "stmemu/entities/rights.h"

#include "stmemu/interface/environment.h"

namespace auxin::stm {
namespace {

struct Table {
  TaskRecord task;
  TaskRights head;
  std::vector<TaskRight> rights;
};

// The table of a task; false if there is no such task.
bool look_at_table(EntityAccess& access, uint64_t task, Table* table) {
  for (;;) {
    if (!access.look(record_address(task), ObjectKind::kTask, kTaskRecordType, &table->task) ||
        table->task.reference != task) {
      return false;
    }
    std::vector<char> bytes;
    if (!access.look_all(table->task.rights, ObjectKind::kTask, kTaskRightsType, &bytes) ||
        bytes.size() < sizeof(TaskRights)) {
      continue;  // it has just grown, and moved
    }
    memcpy(&table->head, bytes.data(), sizeof(TaskRights));
    table->rights.resize(table->head.count);
    if (table->head.count > 0) {
      memcpy(table->rights.data(), bytes.data() + sizeof(TaskRights),
             table->head.count * sizeof(TaskRight));
    }
    return true;
  }
}

bool has_send_right(EntityAccess& access, uint64_t task, uint64_t port) {
  Table table;
  if (!look_at_table(access, task, &table)) return false;
  for (const TaskRight& right : table.rights) {
    if (right.port == port) return true;
  }
  return false;
}

uint64_t make_table(EntityAccess& access, const std::vector<TaskRight>& rights,
                    uint64_t capacity) {
  const uint64_t address =
      access.make_empty(ObjectKind::kTask, kTaskRightsType,
                        sizeof(TaskRights) + capacity * sizeof(TaskRight));
  access.write(address, TaskRights{rights.size(), capacity});
  if (!rights.empty()) {
    access.write_bytes(address, sizeof(TaskRights), rights.data(),
                       rights.size() * sizeof(TaskRight));
  }
  return address;
}

// The table is full: without what is no more, or else with twice the room.
void make_room(EntityAccess& access, Table* table) {
  std::vector<TaskRight> alive;
  for (const TaskRight& right : table->rights) {
    PortRecord port;
    if (look_at_port(access, right.port, &port)) alive.push_back(right);
  }
  const uint64_t capacity = table->head.capacity;
  const uint64_t address =
      make_table(access, alive, alive.size() > capacity / 2 ? 2 * capacity : capacity);
  access.free(table->task.rights);
  table->task.rights = address;
  access.write(record_address(table->task.reference), table->task);
}

void gain_send_right(EntityAccess& access, uint64_t task, uint64_t port) {
  if (has_send_right(access, task, port)) return;
  // From here on the record is this transaction's, so the table stays where it is.
  const TaskRecord record = access.read<TaskRecord>(record_address(task));
  if (record.reference != task) detail::raise(Status::kNoRight, "the stable task is no more");
  access.read<TaskRights>(record.rights);
  Table table;
  for (;;) {
    if (!look_at_table(access, task, &table)) {
      detail::raise(Status::kNoRight, "the stable task is no more");
    }
    if (table.head.count < table.head.capacity) break;
    make_room(access, &table);
  }
  const TaskRight right = {port, static_cast<uint64_t>(Right::kSend)};
  access.write_bytes(table.task.rights,
                     sizeof(TaskRights) + table.head.count * sizeof(TaskRight), &right,
                     sizeof(right));
  access.write(table.task.rights, TaskRights{table.head.count + 1, table.head.capacity});
}

std::string name_of_port(const PortRecord& port) {
  return port.name[0] != '\0' ? "port \"" + std::string(port.name) + "\"" : "the port";
}

}  // namespace

bool look_at_port(EntityAccess& access, uint64_t reference, PortRecord* record) {
  return reference != 0 &&
         access.look(record_address(reference), ObjectKind::kPort, kPortRecordType, record) &&
         record->reference == reference;
}

PortRecord demand_port(EntityAccess& access, uint64_t reference) {
  PortRecord record;
  if (!look_at_port(access, reference, &record)) {
    detail::raise(Status::kNoRight, reference == 0 ? "a null port" : "the port is no more");
  }
  return record;
}

void demand_right(EntityAccess& access, const PortRecord& port, Right right) {
  const uint64_t holder = current_holder(access.core());
  if (port.receiver == holder) return;
  if (right == Right::kReceive) {
    detail::raise(Status::kNoRight, name_of_port(port) + ": its receive right is " +
                                        (port.receiver == kInAMessage ? "in a message"
                                         : port.receiver == kTheNode  ? "the node's"
                                                                      : "a task's"));
  }
  if (holder == kTheNode || has_send_right(access, holder, port.reference)) return;
  detail::raise(Status::kNoRight, name_of_port(port) + ": the task has no right to send to it");
}

void gain_right(EntityAccess& access, uint64_t holder, uint64_t port, Right right) {
  PortRecord record;
  if (!look_at_port(access, port, &record)) return;  // a right to nothing
  if (right == Right::kReceive) {
    record = access.read<PortRecord>(record_address(port));
    record.receiver = holder;
    access.write(record_address(port), record);
  } else if (holder != kTheNode && record.receiver != holder) {
    gain_send_right(access, holder, port);
  }
}

void give_receive_right_away(EntityAccess& access, const PortRecord& port) {
  PortRecord record = access.read<PortRecord>(record_address(port.reference));
  if (record.reference != port.reference || record.receiver != port.receiver) {
    detail::raise(Status::kNoRight, name_of_port(port) + ": its receive right was given away");
  }
  record.receiver = kInAMessage;
  access.write(record_address(port.reference), record);
}

uint64_t make_rights(EntityAccess& access) { return make_table(access, {}, kFirstRights); }

}  // namespace auxin::stm
