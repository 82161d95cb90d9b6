// SPDX-License-Identifier: Apache-2.0
//
// Where a group's portable image is, and of which life of the group its updates are.
//
// Thread safety: none needed.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/message/checksum.h"
#include "replication/group_state.h"
#include "replication/supervisor/start_record.h"

namespace auxin::supervisor {

inline std::string portable_file_of(const StartRecord& record, const std::string& directory) {
  return record.portable_file.empty() ? directory + "/portable.image" : record.portable_file;
}

// Where takers of the group's states exclude each other, and note what they have asked for.
inline std::string portable_notes_of(const std::string& directory) {
  return directory + "/portable";
}

// Another number wherever objects may have forgotten what they gave: another group, one that went
// back to a checkpoint, a server without a log that was started again.
inline uint64_t portable_lineage(const replication::GroupControl& control) {
  const bool logged = control.style.load() != replication::Style::kNone;
  const uint64_t facts[] = {control.group_id, control.restored_position.load(),
                            control.restored_checkpoint.load(),
                            logged ? 0 : uint64_t{control.replicas[0].incarnation.load()}};
  return checkpoint::checksum_of(facts, sizeof(facts));
}

}  // namespace auxin::supervisor
