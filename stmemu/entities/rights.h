// SPDX-License-Identifier: Apache-2.0
//
// Who may use which port (paper 001, §3.1: "several tasks can possess the send right to a port, but
// only one has the receive right. Rights can be transmitted by messages").
//
// The receive right stands in the port's record, which names its one holder, and includes the right
// to send. Send rights stand in a table of each task's own. The node (programs outside of any task)
// has all rights to send, and needs no table.
#pragma once

#include "stmemu/entities/entity_access.h"

namespace auxin::stm {

// The record of a port that is there; false if it is no more, or never was.
bool look_at_port(EntityAccess& access, uint64_t reference, PortRecord* record);
// The same, or kNoRight.
PortRecord demand_port(EntityAccess& access, uint64_t reference);

// kNoRight unless the thread's holder has the right.
void demand_right(EntityAccess& access, const PortRecord& port, Right right);
// A right arrives at `holder`. (A receive right: the record is changed.)
void gain_right(EntityAccess& access, uint64_t holder, uint64_t port, Right right);
// The receive right leaves its holder with a message.
void give_receive_right_away(EntityAccess& access, const PortRecord& port);

// Removes a port, with its messages and its name; and ports whose receive right was in one of
// these.
void remove_port(EntityAccess& access, uint64_t reference);
// All ports that `holder` receives from.
std::vector<PortRecord> ports_of(EntityAccess& access, uint64_t holder);

// An empty table; its address.
uint64_t make_rights(EntityAccess& access);

}  // namespace auxin::stm
