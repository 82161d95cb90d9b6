// SPDX-License-Identifier: Apache-2.0
//
// Auxin's own threads in a replica: detached, small, and with every signal blocked.
#pragma once

namespace auxin::replication {

// Ends the replica if it can't be started.
void start_own_thread(void* (*run)(void*));

// As ps shows the calling thread; at most 15 characters.
void name_own_thread(const char* name);

}  // namespace auxin::replication
