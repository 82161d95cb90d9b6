// SPDX-License-Identifier: Apache-2.0
//
// What a loaded module gives away of itself: which synchronisation it uses that is no call of the
// hook table.
//
// Three signs, from the cheapest to the dearest: the functions that it imports, the names of what
// it defines (inline code of a header leaves weak symbols, in the dynamic symbol table or, where
// the file is not stripped, in the full one), and for raw system calls the number that is loaded
// just before the call. All of it is static: it says what the module can do, not what it has done.
//
// Thread safety: any thread. Maps the module's file for a moment; allocates nothing else. Not in a
// hook: it reads the module's whole code, a millisecond for a few megabytes.
#pragma once

#include "libmeta_os/unsupported_use.h"
#include "metamarkers/elf_modules.h"

namespace auxin::os {

// Each kind of use is told once for a module (lock-free containers once for each library of them).
// `symbol` is valid during the call. `path`: the module's file, for its full symbol table; null:
// that is not looked at. To be called from a visit of for_each_elf_module().
void scan_module(const markers::ElfModule& module, const char* path,
                 void (*found)(Unsupported use, const char* symbol, void* context), void* context);

}  // namespace auxin::os
