// SPDX-License-Identifier: Apache-2.0
#include "stmemu/entities/port_queue.h"
#include "stmemu/entities/rights.h"
#include "stmemu/memory/page_table.h"

namespace auxin::stm {

// The queue's messages go with it; a port whose receive right was in one of them has nobody left
// who could receive from it, and goes too.
void remove_port(EntityAccess& access, uint64_t reference) {
  std::vector<uint64_t> doomed = {reference};
  while (!doomed.empty()) {
    PortRecord port;
    const uint64_t next = doomed.back();
    doomed.pop_back();
    if (!look_at_port(access, next, &port)) continue;
    port = access.read<PortRecord>(record_address(next));
    if (port.link == 0) free_queue(access, port, [&](const QueuedMessage& message) {
      for (const MessagePort& carried : message.ports) {
        if (carried.right == static_cast<uint32_t>(Right::kReceive)) doomed.push_back(carried.port);
      }
    });
    access.free(record_address(next));
    forget_name(access, ObjectKind::kPort, port.name);
  }
}

std::vector<PortRecord> ports_of(EntityAccess& access, uint64_t holder) {
  std::vector<PortRecord> found;
  PhysicalMemory& memory = access.memory();
  const uint8_t size_class = memory.classes().class_of(sizeof(PortRecord));
  PageTable(memory).walk([&](uint64_t page, const PageHead& head) {
    if (static_cast<PageUse>(head.use) != PageUse::kObjects || head.owner != 0 ||
        head.size_class != size_class) {
      return true;
    }
    for (uint32_t slot = 0; slot < memory.classes().slots(size_class); ++slot) {
      PortRecord port;
      const uint64_t address = place_in_run(memory, page, head, slot).contents;
      if (access.look(address, ObjectKind::kPort, kPortRecordType, &port) &&
          port.receiver == holder) {
        found.push_back(port);
      }
    }
    return true;
  });
  return found;
}

}  // namespace auxin::stm
