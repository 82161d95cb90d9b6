// SPDX-License-Identifier: Apache-2.0
//
// Writing the log: what the leader's threads (and the steward of a promoting replica) append.
//
// Appends keep within the ring: when it is full, what every counted follower has consumed is
// released; a follower that stalls is put out of the group first (DESIGN 4.4), so a full log never
// stops the leader for longer than the stall time.
//
// Thread safety: any thread that has entered the replica.
#pragma once

#include <cstddef>
#include <cstdint>

#include "replication/log_entry.h"

namespace auxin::replication {

// Appends and publishes; returns the position. May wait for room, at most about the stall time.
uint64_t append(const stm::LogEntry& entry);
// The same with a copy of the bytes as payload: at most most_payload_bytes().
uint64_t append_with_payload(stm::LogEntry entry, const void* data, size_t size_bytes);
size_t most_payload_bytes();  // 16 KiB to 1 MiB, by the size of the log

// Waits while followers that count are more than the bound behind. Called where a request enters
// the server, so the leader slows down before fail-over would become slow.
void hold_back_for_followers();
// The same for a passive style whose log is nearly full: until the next checkpoint, at most about
// ten seconds. Before anything is taken up: a checkpoint can't be taken of a thread in append().
void hold_back_for_checkpoint();

// Housekeeping: which followers count. Every few milliseconds, and when the log is full.
void tend_log();
// Housekeeping: storage ahead of the log's end. One thread at a time: the tender.
void reserve_log_ahead();

// The lowest position that a counted follower still needs; end of the log if there is none.
uint64_t needed_position();

}  // namespace auxin::replication
