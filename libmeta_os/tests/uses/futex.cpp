// SPDX-License-Identifier: Apache-2.0
//
// Futex calls as a library makes them that has locks of its own.
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static int word;

extern "C" long wake_all() { return syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0); }
extern "C" long who_am_i() { return syscall(SYS_gettid); }
