// SPDX-License-Identifier: Apache-2.0
//
// A middleware that states its own join points with auxin/metamarker.h: a part in C, a part in
// C++17. Built into one shared object that knows nothing else of Auxin.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// Each calls `look(context)` in the middle of its join point, if it is not skipped, and returns 1;
// 0 where it was skipped.
int annotated_c_upcall(void (*look)(void*), void* context);
int annotated_c_sweep(void (*look)(void*), void* context);        // AUXIN_ROLE_SUPPRESSED
int annotated_cpp_upcall(void (*look)(void*), void* context);     // two nested, in one function
int annotated_cpp_sweep(void (*look)(void*), void* context);
void annotated_cpp_throws(void (*look)(void*), void* context);    // throws an int
// Works for a request, and for another one within.
void annotated_request(int fd, unsigned id, void (*look)(void*), void* context);
void annotated_many(int count);                                   // as many different names

#ifdef __cplusplus
}
#endif
