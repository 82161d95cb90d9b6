// SPDX-License-Identifier: Apache-2.0
//
// Hooks: threads that the base level starts and joins, in their POSIX and C11 forms.
#include <errno.h>

#include "libmeta_os/hooks.h"
#include "libmeta_os/module_watch.h"

namespace auxin::os {
namespace {

bool reified() { return facets.threads != nullptr && !at_meta_level(); }

// A C11 routine returns int where a POSIX one returns a pointer: the same register, of which
// thrd_join reads the lower half.
void* (*as_posix(thrd_start_t routine))(void*) {
  return reinterpret_cast<void* (*)(void*)>(reinterpret_cast<void*>(routine));
}
thrd_start_t as_c11(void* (*routine)(void*)) {
  return reinterpret_cast<thrd_start_t>(reinterpret_cast<void*>(routine));
}

}  // namespace

int hook::pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                         void* (*routine)(void*), void* argument) {
  notice_new_modules();
  if (!reified()) return real().pthread_create(thread, attributes, routine, argument);
  const ThreadFacet::Start start = facets.threads->creating({routine, argument}, AUXIN_CALL_SITE);
  const int error = real().pthread_create(thread, attributes, start.routine, start.argument);
  if (error != 0) facets.threads->creation_failed(start);
  return error;
}

int hook::pthread_join(pthread_t thread, void** value) {
  if (!reified()) return real().pthread_join(thread, value);
  return facets.threads->join(thread, value, {}, AUXIN_CALL_SITE);
}

int hook::pthread_tryjoin_np(pthread_t thread, void** value) {
  if (!reified()) return real().pthread_tryjoin_np(thread, value);
  return facets.threads->join(thread, value, {Deadline::Kind::kTry}, AUXIN_CALL_SITE);
}

int hook::pthread_timedjoin_np(pthread_t thread, void** value, const timespec* deadline) {
  if (!reified()) return real().pthread_timedjoin_np(thread, value, deadline);
  const Deadline until =  // without a time it waits for ever
      deadline == nullptr ? Deadline{}
                          : Deadline{Deadline::Kind::kAbsolute, CLOCK_REALTIME, deadline};
  return facets.threads->join(thread, value, until, AUXIN_CALL_SITE);
}

int hook::pthread_clockjoin_np(pthread_t thread, void** value, clockid_t clock,
                               const timespec* deadline) {
  if (!reified()) return real().pthread_clockjoin_np(thread, value, clock, deadline);
  return facets.threads->join(thread, value, {Deadline::Kind::kAbsolute, clock, deadline},
                              AUXIN_CALL_SITE);
}

int hook::thrd_create(thrd_t* thread, thrd_start_t routine, void* argument) {
  notice_new_modules();
  if (!reified()) return real().thrd_create(thread, routine, argument);
  const ThreadFacet::Start start =
      facets.threads->creating({as_posix(routine), argument}, AUXIN_CALL_SITE);
  const int result = real().thrd_create(thread, as_c11(start.routine), start.argument);
  if (result != thrd_success) facets.threads->creation_failed(start);
  return result;
}

int hook::thrd_join(thrd_t thread, int* result) {
  if (!reified()) return real().thrd_join(thread, result);
  void* value = nullptr;
  const int error = facets.threads->join(thread, &value, {}, AUXIN_CALL_SITE);
  if (error != 0) return thrd_error;
  if (result != nullptr) *result = static_cast<int>(reinterpret_cast<intptr_t>(value));
  return thrd_success;
}

}  // namespace auxin::os
