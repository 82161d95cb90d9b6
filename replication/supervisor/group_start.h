// SPDX-License-Identifier: Apache-2.0
//
// From a configuration to a group that can be supervised: every check, then fresh, resumed or
// adopted.
//
//   memory there?  replicas live?  its phase                 auto        --resume  --fresh
//   no             -               -                         fresh       refused   fresh
//   yes            yes             any                       adopt       adopt     killed, fresh
//   yes            no              starting, ending, ended   fresh       refused   fresh
//   yes            no              running                   resume      resume    fresh
//   yes            no              stopped for cause         refused     resume    fresh
//   can't be read  no or yes       -                         refused     refused   killed, fresh
//
// A log is resumed only if every entry of it matches its checksum (log_check.h); else: refused.
// A refusal is one sentence and leaves nothing behind and everything as it was.
//
// Thread safety: one thread, before any replica is started.
#pragma once

#include <string>

#include "replication/supervisor/configuration.h"
#include "replication/supervisor/group_memory.h"
#include "replication/supervisor/initial_copy.h"
#include "replication/supervisor/launch.h"
#include "replication/supervisor/ready_file.h"
#include "replication/supervisor/start_record.h"
#include "replication/supervisor/state_directory.h"
#include "stmemu/result.h"

namespace auxin::supervisor {

enum class StartKind { kFresh, kResume, kAdopt };

// A group whose directory's lock and supervisor lock the calling thread holds.
struct PreparedGroup {
  StateDirectory directory;
  GroupMemory memory;
  StartRecord record;
  InitialCopy initial_copy;
  Launch launch;
  ReadyFile ready_file;
  StartKind kind;
};

Result<PreparedGroup> prepare_group(const Configuration& configuration);

// An orphaned group (its directory claimed already), to be ended: nothing can be started in it.
Result<PreparedGroup> take_over_orphan(StateDirectory directory);

// SIGKILL to every process of the group, until none is left. False: one did not end within 5 s.
bool kill_members(const std::string& memory_path);

}  // namespace auxin::supervisor
