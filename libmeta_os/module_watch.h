// SPDX-License-Identifier: Apache-2.0
//
// Noticing that the process has loaded something.
//
// dlopen itself has no hook (hook_table.def says why). Instead the calls that an ORB makes early in
// its life (socket, bind, listen, connect, pthread_create) compare the linker's count of loaded
// modules with the one last seen: some 50 ns, and such calls are rare.
#pragma once

namespace auxin::os {

// Tells ProcessFacet::modules_changed, at the meta level, if modules were loaded since the last
// call (or since watch_modules). Does nothing at the meta level or before watch_modules.
void notice_new_modules();

// Begins the watch: what is loaded now is known. Called by the preload's constructor.
void watch_modules();

}  // namespace auxin::os
