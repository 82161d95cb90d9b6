// SPDX-License-Identifier: Apache-2.0
#include "stmemu/entities/task_entries.h"

#include <map>
#include <mutex>

namespace auxin::stm {
namespace {

struct Entries {
  std::mutex mutex;
  std::map<std::string, EntryFunction> functions;
};
Entries& entries() {
  static Entries all;
  return all;
}

thread_local constinit const std::function<bool()>* wants_stop = nullptr;

}  // namespace

void register_entry(const std::string& name, EntryFunction function) {
  const std::lock_guard lock(entries().mutex);
  entries().functions[name] = std::move(function);
}

EntryFunction find_entry(const std::string& name) {
  const std::lock_guard lock(entries().mutex);
  const auto found = entries().functions.find(name);
  return found != entries().functions.end() ? found->second : EntryFunction();
}

StopWord::StopWord(std::function<bool()> stop) : stop_(std::move(stop)) { wants_stop = &stop_; }
StopWord::~StopWord() { wants_stop = nullptr; }

bool StableTask::should_stop() { return wants_stop != nullptr && (*wants_stop)(); }

}  // namespace auxin::stm
