// SPDX-License-Identifier: Apache-2.0
//
// Which TCP connections this process has, and how often its ORB opened one.
#pragma once

#include "call_log.h"

namespace bank {

// From now on every connection that the ORB opens as a client is counted in `count`, which must
// live as long as the ORB. Call once, after ORB_init.
void count_connects(std::atomic<unsigned>& count);

// The connected TCP sockets among this process's descriptors: local and peer address.
ClientLog::Connections open_connections();

bool same_connections(const ClientLog::Connections& a, const ClientLog::Connections& b);

}  // namespace bank
