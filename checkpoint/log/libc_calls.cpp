// SPDX-License-Identifier: Apache-2.0
//
// The process's own calls of the system, told to its log: functions of libc of the same names,
// which stand before libc's in a program that links auxin::checkpoint_calls. Each asks libc's and
// tells what came of it, as long as auxin_checkpoint_log_system_calls says so; else it costs a
// load.
//
// Not told: what the service does for the process, what the log itself does, and what libc does
// inside (stdio).
//
// Thread safety: any thread; errno is libc's.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "auxin/checkpoint.h"
#include "checkpoint/log/event_log.h"

namespace {

using auxin::checkpoint::EventLog;
using auxin::checkpoint::WithinService;

std::atomic<bool> told{false};

// libc's own function of a name.
template <typename Signature>
class Next {
 public:
  explicit constexpr Next(const char* name) : name_(name) {}
  template <typename... Arguments>
  auto operator()(Arguments... arguments) {
    Signature* of = function_.load(std::memory_order_relaxed);
    if (of == nullptr) {
      of = reinterpret_cast<Signature*>(dlsym(RTLD_NEXT, name_));
      if (of == nullptr) abort();  // a libc without it
      function_.store(of, std::memory_order_relaxed);
    }
    return of(arguments...);
  }

 private:
  const char* name_;
  std::atomic<Signature*> function_{nullptr};
};

void tell(long number, long first, int64_t value) {
  if (WithinService::is_on() || !EventLog::is_on()) return;
  const WithinService within;  // what the log calls is not told
  const int error = errno;
  auxin_checkpoint_record record{};
  record.event = AUXIN_CHECKPOINT_EVENT_SYSTEM_CALL;
  record.code = static_cast<int32_t>(number);
  record.value = static_cast<uint64_t>(value);
  record.bytes = static_cast<uint64_t>(first);
  EventLog::tell(record);
  errno = error;
}

template <typename Result>
Result report(long number, long first, Result result) {
  if (!told.load(std::memory_order_relaxed)) return result;
  tell(number, first, result >= 0 ? static_cast<int64_t>(result) : -int64_t{errno});
  return result;
}

mode_t mode_of(int flags, va_list arguments) {
  const bool given = (flags & (O_CREAT | __O_TMPFILE)) != 0;
  return given ? static_cast<mode_t>(va_arg(arguments, int)) : 0;
}

long as_long(const void* pointer) { return reinterpret_cast<long>(pointer); }

int64_t in_ns(int64_t seconds, int64_t ns) { return seconds * 1'000'000'000 + ns; }

}  // namespace

#define AUXIN_EXPORTED __attribute__((visibility("default")))

extern "C" {

enum auxin_checkpoint_status auxin_checkpoint_log_system_calls(int on) {
  told = on != 0;
  return AUXIN_CHECKPOINT_OK;
}

AUXIN_EXPORTED int open(const char* path, int flags, ...) {
  static Next<int(const char*, int, ...)> next{"open"};
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return report(SYS_openat, as_long(path), next(path, flags, mode));
}

AUXIN_EXPORTED int open64(const char* path, int flags, ...) {
  static Next<int(const char*, int, ...)> next{"open64"};
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return report(SYS_openat, as_long(path), next(path, flags, mode));
}

AUXIN_EXPORTED int openat(int directory, const char* path, int flags, ...) {
  static Next<int(int, const char*, int, ...)> next{"openat"};
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return report(SYS_openat, directory, next(directory, path, flags, mode));
}

AUXIN_EXPORTED int close(int fd) {
  static Next<int(int)> next{"close"};
  return report(SYS_close, fd, next(fd));
}

AUXIN_EXPORTED ssize_t read(int fd, void* to, size_t size_bytes) {
  static Next<ssize_t(int, void*, size_t)> next{"read"};
  return report(SYS_read, fd, next(fd, to, size_bytes));
}

AUXIN_EXPORTED ssize_t write(int fd, const void* from, size_t size_bytes) {
  static Next<ssize_t(int, const void*, size_t)> next{"write"};
  return report(SYS_write, fd, next(fd, from, size_bytes));
}

AUXIN_EXPORTED ssize_t pread(int fd, void* to, size_t size_bytes, off_t offset) {
  static Next<ssize_t(int, void*, size_t, off_t)> next{"pread"};
  return report(SYS_pread64, fd, next(fd, to, size_bytes, offset));
}

AUXIN_EXPORTED ssize_t pwrite(int fd, const void* from, size_t size_bytes, off_t offset) {
  static Next<ssize_t(int, const void*, size_t, off_t)> next{"pwrite"};
  return report(SYS_pwrite64, fd, next(fd, from, size_bytes, offset));
}

AUXIN_EXPORTED ssize_t readv(int fd, const iovec* parts, int count) {
  static Next<ssize_t(int, const iovec*, int)> next{"readv"};
  return report(SYS_readv, fd, next(fd, parts, count));
}

AUXIN_EXPORTED ssize_t writev(int fd, const iovec* parts, int count) {
  static Next<ssize_t(int, const iovec*, int)> next{"writev"};
  return report(SYS_writev, fd, next(fd, parts, count));
}

AUXIN_EXPORTED int fsync(int fd) {
  static Next<int(int)> next{"fsync"};
  return report(SYS_fsync, fd, next(fd));
}

AUXIN_EXPORTED int rename(const char* from, const char* to) noexcept {
  static Next<int(const char*, const char*)> next{"rename"};
  return report(SYS_rename, as_long(from), next(from, to));
}

AUXIN_EXPORTED int unlink(const char* path) noexcept {
  static Next<int(const char*)> next{"unlink"};
  return report(SYS_unlink, as_long(path), next(path));
}

AUXIN_EXPORTED int socket(int domain, int type, int protocol) noexcept {
  static Next<int(int, int, int)> next{"socket"};
  return report(SYS_socket, domain, next(domain, type, protocol));
}

AUXIN_EXPORTED int connect(int fd, const sockaddr* address, socklen_t size_bytes) {
  static Next<int(int, const sockaddr*, socklen_t)> next{"connect"};
  return report(SYS_connect, fd, next(fd, address, size_bytes));
}

AUXIN_EXPORTED int accept(int fd, sockaddr* address, socklen_t* size_bytes) {
  static Next<int(int, sockaddr*, socklen_t*)> next{"accept"};
  return report(SYS_accept, fd, next(fd, address, size_bytes));
}

AUXIN_EXPORTED ssize_t send(int fd, const void* from, size_t size_bytes, int flags) {
  static Next<ssize_t(int, const void*, size_t, int)> next{"send"};
  return report(SYS_sendto, fd, next(fd, from, size_bytes, flags));
}

AUXIN_EXPORTED ssize_t recv(int fd, void* to, size_t size_bytes, int flags) {
  static Next<ssize_t(int, void*, size_t, int)> next{"recv"};
  return report(SYS_recvfrom, fd, next(fd, to, size_bytes, flags));
}

AUXIN_EXPORTED ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  static Next<ssize_t(int, const msghdr*, int)> next{"sendmsg"};
  return report(SYS_sendmsg, fd, next(fd, message, flags));
}

AUXIN_EXPORTED ssize_t recvmsg(int fd, msghdr* message, int flags) {
  static Next<ssize_t(int, msghdr*, int)> next{"recvmsg"};
  return report(SYS_recvmsg, fd, next(fd, message, flags));
}

AUXIN_EXPORTED ssize_t getrandom(void* to, size_t size_bytes, unsigned flags) {
  static Next<ssize_t(void*, size_t, unsigned)> next{"getrandom"};
  return report(SYS_getrandom, as_long(to), next(to, size_bytes, flags));
}

// The value of these is what they say: the time, in nanoseconds but for time().
AUXIN_EXPORTED time_t time(time_t* to) noexcept {
  static Next<time_t(time_t*)> next{"time"};
  return report(SYS_time, as_long(to), next(to));
}

AUXIN_EXPORTED int clock_gettime(clockid_t clock, timespec* to) noexcept {
  static Next<int(clockid_t, timespec*)> next{"clock_gettime"};
  const int result = next(clock, to);
  if (told.load(std::memory_order_relaxed)) {
    tell(SYS_clock_gettime, clock, result == 0 ? in_ns(to->tv_sec, to->tv_nsec) : -int64_t{errno});
  }
  return result;
}

AUXIN_EXPORTED int gettimeofday(timeval* to, void* zone) noexcept {
  static Next<int(timeval*, void*)> next{"gettimeofday"};
  const int result = next(to, zone);
  if (told.load(std::memory_order_relaxed)) {
    tell(SYS_gettimeofday, as_long(zone),
         result == 0 ? in_ns(to->tv_sec, to->tv_usec * 1000) : -int64_t{errno});
  }
  return result;
}

}  // extern "C"
