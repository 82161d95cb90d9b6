/* SPDX-License-Identifier: Apache-2.0
 *
 * Annotations for a middleware or an application that can be rebuilt: a handful of lines that say
 * "this is a join point" and "this thread works for that request". C and C++17; no library needed.
 *
 * Everything goes through weak symbols: without Auxin in the process they are null, and an
 * annotation costs one load and one branch. With Auxin, an annotation means exactly what the same
 * join point in a map would mean (maps/FORMAT.md lists the roles).
 *
 * C++:   void Orb::upcall(Request& request) {
 *          AUXIN_JOIN_POINT("upcall", AUXIN_ROLE_UPCALL, &request);   // to the end of the scope
 *          …
 *        }
 *
 *        if (auto scavenging = auxin::JoinPoint("scavenge", AUXIN_ROLE_SUPPRESSED)) { … }
 *
 * C:     int token = auxin_join_point_enter("upcall", AUXIN_ROLE_UPCALL, request);
 *        if (token != 0) {
 *          …
 *          auxin_join_point_leave(token);      // in the same function
 *        }
 *
 * Thread safety: a join point concerns the calling thread only. Names must be string literals.
 * Source: paper 004, slides 22 to 27 (meta-markers put by the middleware itself).
 */
#ifndef AUXIN_METAMARKER_H
#define AUXIN_METAMARKER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a join point means; the same numbers in every version. */
enum auxin_role {
  AUXIN_ROLE_DISPATCHER = 1,       /* the ORB works for one message */
  AUXIN_ROLE_REQUEST = 2,          /* the message is a request, its id is known */
  AUXIN_ROLE_UPCALL = 3,           /* application code runs on behalf of the request */
  AUXIN_ROLE_INFRASTRUCTURE = 4,   /* the ORB's own business, not the application's */
  AUXIN_ROLE_CONTENTION_POINT = 5, /* the order of these calls shows in replies */
  AUXIN_ROLE_SUPPRESSED = 6,       /* a follower skips it: enter gives 0, the scope is false */
  AUXIN_ROLE_VALUE_SOURCE = 7,     /* values read here reach clients */
  AUXIN_ROLE_OUTPUT_BEGINS = 8,    /* an output buffer was made ready */
  AUXIN_ROLE_MUTEX_FACTORY = 9,    /* mutexes created under it are contention points */
  AUXIN_ROLE_PLAIN = 10,           /* a mark for reports */
  AUXIN_ROLE_CONTENTION_ENDS = 11, /* ends an enclosing AUXIN_ROLE_CONTENTION_POINT early */
  AUXIN_ROLE_CONNECTION_CHOICE = 12 /* takes a pooled connection for a call out, or returns it */
};

/* Auxin's side. Don't call these directly. */
extern int auxin_marker_enter(const char* name, int role, uint64_t argument, const void* frame)
    __attribute__((weak));
extern void auxin_marker_leave(int token, const void* frame) __attribute__((weak));
extern void auxin_marker_request_begin(int fd, uint32_t request_id) __attribute__((weak));
extern void auxin_marker_request_end(void) __attribute__((weak));

/* Always inlined: the frame address is that of the annotated function. */
#define AUXIN_ANNOTATION_ static inline __attribute__((always_inline, unused))

/* Returns a token for auxin_join_point_leave, or 0: skip what follows and don't leave. */
AUXIN_ANNOTATION_ int auxin_join_point_enter(const char* name, enum auxin_role role,
                                             const void* argument) {
  if (!auxin_marker_enter) return 1;
  return auxin_marker_enter(name, (int)role, (uint64_t)(uintptr_t)argument,
                            __builtin_frame_address(0));
}
AUXIN_ANNOTATION_ void auxin_join_point_leave(int token) {
  if (auxin_marker_leave) auxin_marker_leave(token, __builtin_frame_address(0));
}

/* From here to auxin_request_end this thread works for the request with this id that came in on
 * connection `fd`. Pairs may nest. For middleware whose map has no offsets to find out by. */
AUXIN_ANNOTATION_ void auxin_request_begin(int fd, uint32_t request_id) {
  if (auxin_marker_request_begin) auxin_marker_request_begin(fd, request_id);
}
AUXIN_ANNOTATION_ void auxin_request_end(void) {
  if (auxin_marker_request_end) auxin_marker_request_end();
}

#ifdef __cplusplus
}  /* extern "C" */

namespace auxin {

/* A join point that lasts as long as the object, which must be a local variable. */
class JoinPoint {
 public:
  __attribute__((always_inline)) inline JoinPoint(const char* name, enum auxin_role role,
                                                  const void* argument = nullptr)
      : token_(auxin_join_point_enter(name, role, argument)) {}
  __attribute__((always_inline)) inline ~JoinPoint() {
    if (token_ != 0) auxin_join_point_leave(token_);
  }
  JoinPoint(const JoinPoint&) = delete;
  JoinPoint& operator=(const JoinPoint&) = delete;
  /* False: to be skipped (AUXIN_ROLE_SUPPRESSED in a follower). */
  explicit operator bool() const { return token_ != 0; }

 private:
  int token_;
};

/* The same for auxin_request_begin and _end. */
class WorkingForRequest {
 public:
  __attribute__((always_inline)) inline WorkingForRequest(int fd, uint32_t request_id) {
    auxin_request_begin(fd, request_id);
  }
  __attribute__((always_inline)) inline ~WorkingForRequest() { auxin_request_end(); }
  WorkingForRequest(const WorkingForRequest&) = delete;
  WorkingForRequest& operator=(const WorkingForRequest&) = delete;
};

}  /* namespace auxin */

#define AUXIN_PASTE_(a, b) a##b
#define AUXIN_PASTE(a, b) AUXIN_PASTE_(a, b)
/* AUXIN_JOIN_POINT(name, role) or (name, role, argument): to the end of the scope. */
#define AUXIN_JOIN_POINT(...) \
  const ::auxin::JoinPoint AUXIN_PASTE(auxin_join_point_, __LINE__)(__VA_ARGS__)
#endif

#endif
