// SPDX-License-Identifier: Apache-2.0
#include "analysis/structure/synchronisation_types.h"

#include <algorithm>
#include <cctype>
#include <iterator>

namespace auxin::analysis {
namespace {

constexpr const char* kKinds[] = {"",     "mutex",   "rwlock", "semaphore",
                                  "spin", "barrier", "once",   "condition"};

struct Named {
  std::string_view type;
  SynchronisationKind kind;
};
constexpr Named kTypes[] = {
    {"pthread_mutex_t", SynchronisationKind::kMutex},
    {"pthread_rwlock_t", SynchronisationKind::kRwlock},
    {"pthread_cond_t", SynchronisationKind::kCondition},
    {"pthread_spinlock_t", SynchronisationKind::kSpin},
    {"pthread_barrier_t", SynchronisationKind::kBarrier},
    {"pthread_once_t", SynchronisationKind::kOnce},
    {"sem_t", SynchronisationKind::kSemaphore},
    {"std::mutex", SynchronisationKind::kMutex},
    {"std::recursive_mutex", SynchronisationKind::kMutex},
    {"std::timed_mutex", SynchronisationKind::kMutex},
    {"std::recursive_timed_mutex", SynchronisationKind::kMutex},
    {"std::shared_mutex", SynchronisationKind::kRwlock},
    {"std::shared_timed_mutex", SynchronisationKind::kRwlock},
    {"std::condition_variable", SynchronisationKind::kCondition},
    {"std::_V2::condition_variable_any", SynchronisationKind::kCondition},
    {"std::condition_variable_any", SynchronisationKind::kCondition},
    {"std::once_flag", SynchronisationKind::kOnce},
    {"std::counting_semaphore", SynchronisationKind::kSemaphore},
    {"std::binary_semaphore", SynchronisationKind::kSemaphore},
    {"std::barrier", SynchronisationKind::kBarrier},
    {"omni_mutex", SynchronisationKind::kMutex},
    {"omni_tracedmutex", SynchronisationKind::kMutex},
    {"omni_condition", SynchronisationKind::kCondition},
    {"omni_tracedcondition", SynchronisationKind::kCondition},
    {"omni_semaphore", SynchronisationKind::kSemaphore},
    {"boost::mutex", SynchronisationKind::kMutex},
    {"boost::recursive_mutex", SynchronisationKind::kMutex},
    {"boost::timed_mutex", SynchronisationKind::kMutex},
    {"boost::shared_mutex", SynchronisationKind::kRwlock},
    {"boost::condition_variable", SynchronisationKind::kCondition},
    {"QMutex", SynchronisationKind::kMutex},
    {"QRecursiveMutex", SynchronisationKind::kMutex},
    {"QReadWriteLock", SynchronisationKind::kRwlock},
    {"QSemaphore", SynchronisationKind::kSemaphore},
    {"QWaitCondition", SynchronisationKind::kCondition},
};

// Whose argument is a lock that stands elsewhere.
constexpr std::string_view kGuards[] = {
    "std::lock_guard",  "std::unique_lock",       "std::shared_lock",  "std::scoped_lock",
    "omni_mutex_lock",  "omni_optional_lock",     "boost::lock_guard", "boost::unique_lock",
    "omni_mutex_unlock", "boost::shared_lock",    "QMutexLocker",      "boost::scoped_lock",
    "omni_tracedmutex_lock", "omni_semaphore_lock"};

// Beside the types and guards above: what the library's own headers put between.
constexpr std::string_view kInnards[] = {
    "__gthread_", "__gthrw_", "pthread_", "sem_", "std::lock", "std::try_lock", "std::call_once",
    "std::__mutex_base", "std::__recursive_mutex_base", "std::__shared_mutex_",
    "std::__timed_mutex_impl", "std::__condvar", "std::_V2::", "std::__platform_semaphore",
    "std::__detail::__try_to_lock", "std::__detail::__try_lock_impl", "std::__detail::__lock_impl",
    "std::__try_to_lock", "std::__try_lock_impl"};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// `name` as a whole qualified name: "std::mutex" is in "const std::mutex *", but neither in
// "my::std::mutex" nor in "std::mutex_like".
bool contains_name(std::string_view text, std::string_view name) {
  for (size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
    const bool begins = at == 0 || (!is_word(text[at - 1]) && text[at - 1] != ':');
    const size_t end = at + name.size();
    const bool ends = end == text.size() || (!is_word(text[end]) && text[end] != ':');
    if (begins && ends) return true;
  }
  return false;
}

SynchronisationKind kind_in(std::string_view type) {
  // "void (std::mutex &)": it takes one, and holds none.
  if (type.find('(') != type.npos) return SynchronisationKind::kNone;
  for (const std::string_view guard : kGuards) {
    if (contains_name(type, guard)) return SynchronisationKind::kNone;
  }
  for (const Named& named : kTypes) {
    if (contains_name(type, named.type)) return named.kind;
  }
  return SynchronisationKind::kNone;
}

// "std::mutex::lock()", "std::lock_guard<std::mutex>::lock_guard(…)": the name, then more of it.
bool begins_with_name(std::string_view function, std::string_view name) {
  if (!function.starts_with(name)) return false;
  const std::string_view rest = function.substr(name.size());
  return rest.empty() || !is_word(rest.front());
}

}  // namespace

const char* name_of(SynchronisationKind kind) { return kKinds[static_cast<size_t>(kind)]; }

bool parse(std::string_view text, SynchronisationKind* kind) {
  const auto found = std::find(std::begin(kKinds), std::end(kKinds), text);
  if (found == std::end(kKinds)) return false;
  *kind = static_cast<SynchronisationKind>(found - std::begin(kKinds));
  return true;
}

SynchronisationKind synchronisation_of_type(std::string_view written, std::string_view canonical) {
  const SynchronisationKind kind = kind_in(canonical);
  // A guard hides behind no other name than its own: what is written cannot make it a lock.
  return kind != SynchronisationKind::kNone ? kind : kind_in(written);
}

bool is_lock_wrapper(std::string_view function) {
  // A function template's name has its result before it.
  if (const size_t call = function.find("std::"); function.starts_with("void ") && call == 5) {
    function.remove_prefix(5);
  }
  if (function.starts_with("int std::")) function.remove_prefix(4);
  for (const std::string_view innard : kInnards) {
    if (!function.starts_with(innard)) continue;
    const std::string_view rest = function.substr(innard.size());
    if (is_word(innard.back()) && innard.back() != '_' && !rest.empty() && is_word(rest.front())) {
      continue;  // "std::locale", not "std::lock"
    }
    return true;
  }
  const auto begins = [&](std::string_view name) { return begins_with_name(function, name); };
  return std::any_of(std::begin(kGuards), std::end(kGuards), begins) ||
         std::any_of(std::begin(kTypes), std::end(kTypes),
                     [&](const Named& named) { return begins(named.type); });
}

}  // namespace auxin::analysis
