// SPDX-License-Identifier: Apache-2.0
#include "replication/agreed_values.h"

#include <errno.h>
#include <string.h>

#include <algorithm>

#include "libmeta_os/guard.h"
#include "libmeta_os/real_calls.h"
#include "replication/decision.h"
#include "replication/follower_scheduling.h"
#include "replication/futex.h"
#include "replication/log_writer.h"
#include "replication/replica.h"

namespace auxin::replication {
namespace {

bool named() { return current_activity()->id != 0; }

// One value of up to two words: read freely and logged by the leader, taken from the log elsewhere.
// `read` fills the words and returns libc's result; errno is kept.
template <typename Read>
int agree(os::CallSite site, ValueForm form, uint64_t* first, uint64_t* second, Read read) {
  Decision decision(site);
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    const int result = read();
    const int error = errno;
    if (!decision.begin_logging()) continue;
    decision.log_value(form, *first, *second, result == 0 ? 0 : error);
    errno = error;
    return result;
  }
  decision.expect(logged, form);
  *first = logged.object;
  *second = logged.number;
  decision.done();
  if (logged.flags == 0) return 0;
  errno = logged.flags;
  return -1;
}

}  // namespace

int AgreedValues::clock_gettime(clockid_t clock, timespec* time, os::CallSite site) {
  if (!named()) return os::real().clock_gettime(clock, time);
  uint64_t seconds = 0, nanoseconds = 0;
  const int result = agree(site, ValueForm::kClock, &seconds, &nanoseconds, [&] {
    timespec now{};
    const int status = os::real().clock_gettime(clock, &now);
    seconds = static_cast<uint64_t>(now.tv_sec);
    nanoseconds = static_cast<uint64_t>(now.tv_nsec);
    return status;
  });
  if (result == 0)
    *time = timespec{static_cast<time_t>(seconds), static_cast<long>(nanoseconds)};
  return result;
}

int AgreedValues::gettimeofday(timeval* time, void* zone, os::CallSite site) {
  if (!named() || time == nullptr) return os::real().gettimeofday(time, zone);
  uint64_t seconds = 0, microseconds = 0;
  const int result = agree(site, ValueForm::kTimeOfDay, &seconds, &microseconds, [&] {
    timeval now{};
    const int status = os::real().gettimeofday(&now, zone);
    seconds = static_cast<uint64_t>(now.tv_sec);
    microseconds = static_cast<uint64_t>(now.tv_usec);
    return status;
  });
  if (result == 0)
    *time = timeval{static_cast<time_t>(seconds), static_cast<suseconds_t>(microseconds)};
  return result;
}

time_t AgreedValues::time(time_t* time, os::CallSite site) {
  if (!named()) return os::real().time(time);
  uint64_t seconds = 0, unused = 0;
  agree(site, ValueForm::kTime, &seconds, &unused, [&] {
    seconds = static_cast<uint64_t>(os::real().time(nullptr));
    return 0;
  });
  if (time != nullptr) *time = static_cast<time_t>(seconds);
  return static_cast<time_t>(seconds);
}

ssize_t AgreedValues::getrandom(void* buffer, size_t size, unsigned flags, os::CallSite site) {
  if (!named()) return os::real().getrandom(buffer, size, flags);
  if (const size_t most = most_payload_bytes(); size > most) {
    const ssize_t first = getrandom(buffer, most, flags, site);
    if (first < static_cast<ssize_t>(most)) return first;
    const ssize_t rest = getrandom(static_cast<char*>(buffer) + most, size - most, flags, site);
    return rest < 0 ? first : first + rest;
  }
  Decision decision(site);
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    const ssize_t result = os::real().getrandom(buffer, size, flags);
    const int error = errno;
    if (!decision.begin_logging()) continue;
    if (result > 0) {
      decision.log_bytes(ValueForm::kRandomBytes, buffer, static_cast<uint32_t>(result), 0);
    } else {
      decision.log_value(ValueForm::kRandomBytes, 0, 0, result == 0 ? 0 : error);
    }
    errno = error;
    return result;
  }
  decision.expect(logged, ValueForm::kRandomBytes);
  const size_t count = std::min<size_t>(size, logged.payload_size_bytes);
  memcpy(buffer, replica->log().payload_at(logged.payload_offset), count);
  decision.done();
  if (logged.flags == 0) return static_cast<ssize_t>(count);
  errno = logged.flags;
  return -1;
}

long AgreedValues::random(os::CallSite site) {
  if (!named()) return os::real().random();
  uint64_t value = 0, unused = 0;
  agree(site, ValueForm::kRandom, &value, &unused, [&] {
    value = static_cast<uint64_t>(os::real().random());
    return 0;
  });
  return static_cast<long>(value);
}

int AgreedValues::rand(os::CallSite site) {
  if (!named()) return os::real().rand();
  uint64_t value = 0, unused = 0;
  agree(site, ValueForm::kRand, &value, &unused, [&] {
    value = static_cast<uint64_t>(os::real().rand());
    return 0;
  });
  return static_cast<int>(value);
}

unsigned AgreedValues::random_device(os::CallSite site) {
  const auto draw = [] {
    unsigned value = 0;
    raw_syscall(SYS_getrandom, reinterpret_cast<long>(&value), sizeof value, 0);
    return value;
  };
  if (!named()) return draw();
  uint64_t value = 0, unused = 0;
  agree(site, ValueForm::kRandomDevice, &value, &unused, [&] {
    value = draw();
    return 0;
  });
  return static_cast<unsigned>(value);
}

pid_t AgreedValues::getpid() {
  return replica->control().group_pid.load(std::memory_order_relaxed);
}

pid_t AgreedValues::target_of(pid_t pid) {
  return pid == getpid() ? replica->pid() : pid;
}

void AgreedValues::processors(size_t size, cpu_set_t* cpus) {
  show_processors_as_started(size, cpus);
}

int AgreedValues::clock_nanosleep(clockid_t clock, int flags, const timespec* request,
                                  timespec* remaining, os::CallSite site) {
  if (!named()) return ValueFacet::clock_nanosleep(clock, flags, request, remaining, site);
  Decision decision(site);
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    timespec left{};
    const int result = os::real().clock_nanosleep(clock, flags, request, &left);
    if (!decision.begin_logging()) continue;
    decision.log_value(ValueForm::kSleep, static_cast<uint64_t>(left.tv_sec),
                       static_cast<uint64_t>(left.tv_nsec), result);
    if (remaining != nullptr && result == EINTR) *remaining = left;
    if (result == 0) return 0;
    errno = result;
    return -1;
  }
  decision.expect(logged, ValueForm::kSleep);
  decision.await_its_time();
  if (remaining != nullptr && logged.flags == EINTR)
    *remaining = timespec{static_cast<time_t>(logged.object), static_cast<long>(logged.number)};
  decision.done();
  if (logged.flags == 0) return 0;
  errno = logged.flags;
  return -1;
}

int AgreedValues::wait_for_signal(const sigset_t* set, siginfo_t* info, const timespec* timeout,
                                  os::CallSite site) {
  if (!named()) return os::real().sigtimedwait(set, info, timeout);
  siginfo_t taken{};
  Decision decision(site);
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    int number;
    {
      const LivePart waits(LiveState::kWaits);
      number = os::real().sigtimedwait(set, &taken, timeout);
    }
    const int error = errno;
    if (!decision.begin_logging()) continue;
    if (number > 0) {
      decision.log_bytes(ValueForm::kSignal, &taken, sizeof taken, static_cast<uint64_t>(number));
    } else {
      decision.log_value(ValueForm::kSignal, 0, 0, error);
    }
    if (number > 0 && info != nullptr) *info = taken;
    errno = error;
    return number;
  }
  decision.expect(logged, ValueForm::kSignal);
  decision.await_its_time();
  if (logged.flags == 0) {
    const size_t size = std::min<size_t>(sizeof taken, logged.payload_size_bytes);
    memcpy(&taken, replica->log().payload_at(logged.payload_offset), size);
    if (info != nullptr) *info = taken;
  }
  decision.done();
  if (logged.flags == 0) return static_cast<int>(logged.object);
  errno = logged.flags;
  return -1;
}

}  // namespace auxin::replication
