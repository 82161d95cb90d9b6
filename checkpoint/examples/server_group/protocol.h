// SPDX-License-Identifier: Apache-2.0
//
// How a connection to the primary begins. A client then sends Requests and gets Answers; a backup
// gets Incremental Messages, the first one a base, and answers each with its sequence number when
// it has applied it.
#pragma once

#include <cstdint>

namespace server_group {

enum class Caller : uint64_t { kClient = 1, kBackup = 2 };

struct Hello {
  Caller caller;
  uint64_t member;  // a backup's ID
};

}  // namespace server_group
