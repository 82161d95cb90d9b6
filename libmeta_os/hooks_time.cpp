// SPDX-License-Identifier: Apache-2.0
//
// Hooks: reading clocks and sleeping. A call site that the classification names as a value source
// goes to ValueFacet; every sleep form becomes its clock_nanosleep.
#include <errno.h>

#include "libmeta_os/hooks.h"
#include "libmeta_os/reify.h"

namespace auxin::os {
namespace {

// Result as nanosleep's.
int sleep_for(const timespec* request, timespec* remaining, CallSite site) {
  return facets.values->clock_nanosleep(CLOCK_REALTIME, 0, request, remaining, site);
}

}  // namespace

int hook::clock_gettime(clockid_t clock, timespec* time) {
  if (!clock_wanted(clock, AUXIN_CALL_SITE)) return real().clock_gettime(clock, time);
  return facets.values->clock_gettime(clock, time, AUXIN_CALL_SITE);
}

int hook::gettimeofday(timeval* time, void* zone) {
  if (!value_wanted(AUXIN_CALL_SITE)) return real().gettimeofday(time, zone);
  return facets.values->gettimeofday(time, zone, AUXIN_CALL_SITE);
}

time_t hook::time(time_t* time) {
  if (!value_wanted(AUXIN_CALL_SITE)) return real().time(time);
  return facets.values->time(time, AUXIN_CALL_SITE);
}

int hook::timespec_get(timespec* time, int base) {
  if (base != TIME_UTC || !value_wanted(AUXIN_CALL_SITE)) return real().timespec_get(time, base);
  return facets.values->clock_gettime(CLOCK_REALTIME, time, AUXIN_CALL_SITE) == 0 ? base : 0;
}

int hook::nanosleep(const timespec* request, timespec* remaining) {
  if (!value_wanted(AUXIN_CALL_SITE)) return real().nanosleep(request, remaining);
  return sleep_for(request, remaining, AUXIN_CALL_SITE);
}

int hook::clock_nanosleep(clockid_t clock, int flags, const timespec* request,
                          timespec* remaining) {
  if (!value_wanted(AUXIN_CALL_SITE)) {
    return real().clock_nanosleep(clock, flags, request, remaining);
  }
  const int saved_errno = errno;  // this form returns its error
  const int result =
      facets.values->clock_nanosleep(clock, flags, request, remaining, AUXIN_CALL_SITE);
  const int error = result == 0 ? 0 : errno;
  errno = saved_errno;
  return error;
}

int hook::usleep(useconds_t microseconds) {
  if (!value_wanted(AUXIN_CALL_SITE)) return real().usleep(microseconds);
  const timespec request{microseconds / 1'000'000, microseconds % 1'000'000 * 1000L};
  return sleep_for(&request, nullptr, AUXIN_CALL_SITE);
}

unsigned hook::sleep(unsigned seconds) {
  if (!value_wanted(AUXIN_CALL_SITE)) return real().sleep(seconds);
  const timespec request{seconds, 0};
  timespec remaining{};
  if (sleep_for(&request, &remaining, AUXIN_CALL_SITE) == 0) return 0;
  return static_cast<unsigned>(remaining.tv_sec);
}

int hook::thrd_sleep(const timespec* request, timespec* remaining) {
  if (!value_wanted(AUXIN_CALL_SITE)) return real().thrd_sleep(request, remaining);
  const int saved_errno = errno;  // C11's form has no errno
  const int result = sleep_for(request, remaining, AUXIN_CALL_SITE);
  const int interrupted = errno == EINTR ? -1 : -2;
  errno = saved_errno;
  return result == 0 ? 0 : interrupted;
}

}  // namespace auxin::os
