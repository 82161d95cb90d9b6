// SPDX-License-Identifier: Apache-2.0
//
// Turns: a follower's thread waits until the acquisition before its own has happened.
//
// The number of acquisitions so far stands in the object itself (mutex_tag.h). Only the thread
// whose turn is next is woken: it sleeps with bit (n mod 32) of its number. Where nobody waits,
// passing a turn costs one load.
//
// Thread safety: any thread. Source: DESIGN 4.4 (wake only the next in turn).
#pragma once

#include <cstdint>

namespace auxin::replication {

// Waits until the word equals `before`, the number of the acquisition before this one (its low
// half). Ends, as all waits for what the log says, when this replica leads: what it waits for may
// belong to a history that the group has left.
void await_turn(uint32_t* word, uint32_t before);

// Lets the next in turn go on; `count` is the number of acquisitions so far. The object behind
// `word` may be gone already: it is used as an address only.
void pass_turn(uint32_t* word, uint32_t count);

// For words with more than one condition: waits while the word is `seen`; wakes all who do.
void await_change(uint32_t* word, uint32_t seen);
void announce_change(uint32_t* word);

}  // namespace auxin::replication
