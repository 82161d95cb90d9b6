// SPDX-License-Identifier: Apache-2.0
//
// Which file descriptors have a MetaSocket.
//
// A fixed table of pointers indexed by descriptor: the test that every socket hook makes is one
// load. Descriptors beyond the table never have a meta-object.
//
// Thread safety: all functions from any thread; a pointer read stays valid because MetaSockets are
// never freed (they are recycled by their style).
#pragma once

#include "libmeta_os/facets.h"

namespace auxin::os {

inline constexpr int kMaxDescriptors = 65536;

MetaSocket* meta_socket(int fd);             // null: none
void attach(int fd, MetaSocket* socket);     // after the style made it
void detach(int fd);                         // before the number can be reused
int attached_count(const MetaSocket* socket);  // how many descriptors share it
bool any_virtual();                          // fast: is there any MetaSocket that is_virtual()
void set_any_virtual(bool on);               // by the style

}  // namespace auxin::os
