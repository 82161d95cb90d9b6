// SPDX-License-Identifier: Apache-2.0
//
// Which signal handlers matter to replicas, and what their signals are called.
//
// Thread safety: any thread; both may be called in a hook and in a signal handler.
#pragma once

namespace auxin::os {

// A handler that may run while the server serves, at a moment that is each replica's own. Not so:
// SIG_DFL and SIG_IGN; handlers of signals that end the process, whether it is asked to end or
// crashes (the group's end, or a fail-over); and of SIGPIPE, which tells what the call returns too.
bool handler_matters(int number, const void* handler);

// "SIGUSR1", "SIGRTMIN+3"; valid for ever.
const char* signal_name(int number);

}  // namespace auxin::os
