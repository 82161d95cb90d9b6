// SPDX-License-Identifier: Apache-2.0
//
// Which process is this, and how does it end? Shared by the process hooks and the preload's
// constructor.
#pragma once

namespace auxin::os {

// False in a vfork child, which runs in its parent's memory: its exec and _exit are not ours.
bool is_this_process();

// Tells ProcessFacet::exiting, once.
void tell_exiting(int status);

// Makes the handler that sees a return from main run before those that were registered up to now.
// Called when the process begins to listen: its static objects are mostly made by then. The second
// call and further ones do nothing.
void watch_exit_from_here();

// The calling process is a fork's child: counters, table and facets are put right and
// ProcessFacet::forked_child is told.
void become_forked_child();

// The calling process has the memory of another one, which was saved, and goes on in its place.
void become_restored_process();

}  // namespace auxin::os
