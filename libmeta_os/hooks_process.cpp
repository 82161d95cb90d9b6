// SPDX-License-Identifier: Apache-2.0
//
// Hooks: programs that the process starts, and its end.
//
// Every exec form goes through the one with an environment when a style decides what environment
// the new program gets. Hooks here may run in a vfork child: nothing is written.
#include <alloca.h>
#include <stdarg.h>
#include <unistd.h>

#include "libmeta_os/hooks.h"
#include "libmeta_os/process_watch.h"

namespace auxin::os {
namespace {

bool reified() { return facets.process != nullptr && !at_meta_level(); }

char* const* handed_on(char* const* environment) {
  return reified() ? facets.process->exec_environment(environment) : environment;
}

int count_arguments(const char* first, va_list rest) {
  int count = 0;
  for (const char* each = first; each != nullptr; each = va_arg(rest, const char*)) ++count;
  return count;
}

void copy_arguments(char** to, const char* first, va_list rest) {
  const char* each = first;
  for (; each != nullptr; each = va_arg(rest, const char*)) *to++ = const_cast<char*>(each);
  *to = nullptr;
}

}  // namespace

pid_t hook::_Fork() {
  const pid_t pid = real()._Fork();
  if (pid == 0) become_forked_child();
  return pid;
}

int hook::execve(const char* path, char* const* arguments, char* const* environment) {
  return real().execve(path, arguments, handed_on(environment));
}

int hook::execv(const char* path, char* const* arguments) {
  return real().execve(path, arguments, handed_on(environ));
}

int hook::execvp(const char* file, char* const* arguments) {
  return real().execvpe(file, arguments, handed_on(environ));
}

int hook::execvpe(const char* file, char* const* arguments, char* const* environment) {
  return real().execvpe(file, arguments, handed_on(environment));
}

int hook::execveat(int directory, const char* path, char* const* arguments,
                   char* const* environment, int flags) {
  return real().execveat(directory, path, arguments, handed_on(environment), flags);
}

int hook::fexecve(int fd, char* const* arguments, char* const* environment) {
  return real().fexecve(fd, arguments, handed_on(environment));
}

int hook::execl(const char* path, const char* argument, ...) {
  va_list rest;
  va_start(rest, argument);
  const int count = count_arguments(argument, rest);
  va_end(rest);
  auto** const arguments = static_cast<char**>(alloca(sizeof(char*) * (count + 1)));
  va_start(rest, argument);
  copy_arguments(arguments, argument, rest);
  va_end(rest);
  return real().execve(path, arguments, handed_on(environ));
}

int hook::execlp(const char* file, const char* argument, ...) {
  va_list rest;
  va_start(rest, argument);
  const int count = count_arguments(argument, rest);
  va_end(rest);
  auto** const arguments = static_cast<char**>(alloca(sizeof(char*) * (count + 1)));
  va_start(rest, argument);
  copy_arguments(arguments, argument, rest);
  va_end(rest);
  return real().execvpe(file, arguments, handed_on(environ));
}

int hook::execle(const char* path, const char* argument, ...) {
  va_list rest;
  va_start(rest, argument);
  const int count = count_arguments(argument, rest);
  va_end(rest);
  auto** const arguments = static_cast<char**>(alloca(sizeof(char*) * (count + 1)));
  va_start(rest, argument);
  for (char** to = arguments;; ++to) {
    *to = to == arguments ? const_cast<char*>(argument) : va_arg(rest, char*);
    if (*to == nullptr) break;
  }
  char* const* const environment = va_arg(rest, char* const*);  // after the null pointer
  va_end(rest);
  return real().execve(path, arguments, handed_on(environment));
}

int hook::posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                      const posix_spawnattr_t* attributes, char* const* arguments,
                      char* const* environment) {
  return real().posix_spawn(pid, path, actions, attributes, arguments, handed_on(environment));
}

int hook::posix_spawnp(pid_t* pid, const char* file, const posix_spawn_file_actions_t* actions,
                       const posix_spawnattr_t* attributes, char* const* arguments,
                       char* const* environment) {
  return real().posix_spawnp(pid, file, actions, attributes, arguments, handed_on(environment));
}

void hook::exit(int status) {
  tell_exiting(status);
  real().exit(status);
  __builtin_unreachable();
}

void hook::quick_exit(int status) {
  tell_exiting(status);
  real().quick_exit(status);
  __builtin_unreachable();
}

void hook::_exit(int status) {
  tell_exiting(status);
  real()._exit(status);
  __builtin_unreachable();
}

void hook::_Exit(int status) {
  tell_exiting(status);
  real()._Exit(status);
  __builtin_unreachable();
}

int hook::system(const char* command) { return real().system(command); }
FILE* hook::popen(const char* command, const char* mode) { return real().popen(command, mode); }

}  // namespace auxin::os
