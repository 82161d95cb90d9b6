// SPDX-License-Identifier: Apache-2.0
//
// struct RealCalls: one function pointer per hook row of hook_table.def, named as the call.
//
// None of the pointers is noexcept, whatever libc's header says: cancellation may leave any of
// them.
#pragma once

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <threads.h>
#include <time.h>

#include <cstddef>
#include <cstdint>

namespace auxin::os {

struct RealCalls {
#define AUXIN_CALL(family, facet, result, name, parameters, version, note) result(*name) parameters;
#define AUXIN_LIST_CALL(family, facet, result, name, parameters, note)
#define AUXIN_LEFT(family, name, reason)
#include "libmeta_os/hook_table.def"
#undef AUXIN_CALL
#undef AUXIN_LIST_CALL
#undef AUXIN_LEFT
};

}  // namespace auxin::os
