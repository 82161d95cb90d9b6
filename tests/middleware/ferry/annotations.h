// SPDX-License-Identifier: Apache-2.0
//
// What the middleware tells Auxin about itself, in four places (grep FERRY_). Compiled with
// FERRY_PLAIN it tells nothing.
#pragma once

#ifdef FERRY_PLAIN
#define FERRY_WORKS_FOR(fd, id) (void)0
#define FERRY_JOIN_POINT(name, role, argument) (void)0
#define FERRY_MAY(name) true
#else
#include "auxin/metamarker.h"
// To the end of the scope this thread works for the request.
#define FERRY_WORKS_FOR(fd, id) const auxin::WorkingForRequest ferry_works_for(fd, id)
#define FERRY_JOIN_POINT(name, role, argument) AUXIN_JOIN_POINT(name, role, argument)
// False in a replica that follows: it leaves to the leader what the clock alone decides.
#define FERRY_MAY(name) static_cast<bool>(auxin::JoinPoint(name, AUXIN_ROLE_SUPPRESSED))
#endif
