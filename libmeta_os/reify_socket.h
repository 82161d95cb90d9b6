// SPDX-License-Identifier: Apache-2.0
//
// What the descriptor hooks share: is there a MetaSocket to hand the call to, and what to do about
// a number that libc has just given out.
#pragma once

#include "libmeta_os/meta_objects.h"

namespace auxin::os {

// The descriptor's meta-object; null also for threads at the meta level.
inline MetaSocket* reified_socket(int fd) {
  MetaSocket* const socket = meta_socket(fd);
  return socket == nullptr || at_meta_level() ? nullptr : socket;
}

// libc has just given out the number: whatever the table says of it is from a descriptor that was
// closed out of sight (fclose). Returns fd.
inline int fresh(int fd) {
  if (meta_socket(fd) != nullptr) detach(fd);
  clear_marks(fd);
  return fd;
}

inline void fresh_pair(const int* pair) {
  fresh(pair[0]);
  fresh(pair[1]);
}

}  // namespace auxin::os
