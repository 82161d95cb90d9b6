// SPDX-License-Identifier: Apache-2.0
//
// One client process of the load generator: an ORB and a connection of its own.
#pragma once

#include <string>

#include "bank.hh"
#include "call_log.h"
#include "load_options.h"

namespace bank {

// "PREFIX-own-7": the account that only thread 7 uses; "PREFIX-shared-2": one for all.
std::string own_account(const LoadOptions& options, unsigned thread);
std::string shared_account(const LoadOptions& options, unsigned index);

// An ORB for the load generator's needs; `single_connection`: at most one connection to a server,
// which concurrent calls share. May throw CORBA exceptions. One ORB in a process.
CORBA::ORB_ptr start_load_orb(const LoadOptions& options, bool single_connection);

// Runs client `index`: prepares, writes a byte to `ready_fd` and closes it, waits for the end of
// `go_fd`, calls until it is time, and notes everything in `log`. For the child process after a
// fork that no thread or ORB preceded. Returns its exit status: 0 if it ran, whatever the bank
// answered.
int run_load_client(const LoadOptions& options, unsigned index, CallLog& log, int ready_fd,
                    int go_fd);

}  // namespace bank
