// SPDX-License-Identifier: Apache-2.0
#include "replication/unsupported_uses.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "libmeta_os/counters.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/modules.h"
#include "libmeta_os/never_destroyed.h"
#include "libmeta_os/signal_names.h"
#include "libmeta_os/unsupported_scan.h"
#include "metamarkers/elf_modules.h"
#include "recording/recorder.h"
#include "replication/accused_modules.h"
#include "replication/classification.h"
#include "replication/environment.h"
#include "replication/futex.h"
#include "replication/replica.h"

namespace auxin::replication {
namespace {

constinit std::atomic<bool> is_server{false};
const char* own_paths = nullptr;  // separated by NULs, an empty one at the end; null: none

void note(os::Unsupported use, const char* module, const char* symbol) {
  if (!os::counters().uses.add(use, module, symbol)) return;
  if (replica != nullptr) {
    replica->control().uses.add(use, module, symbol, static_cast<unsigned>(replica->id()));
  }
  recording::record_unsupported_uses();
}

// Modules by name and address: something else may be loaded where one was.
struct Scanned {
  uintptr_t base;
  std::string name;
};

struct Scan {
  std::vector<Scanned> done;
  std::vector<uintptr_t> accused;
  std::vector<os::Module> wanted;
};

void choose_module(const os::Module& module, void* context) {
  auto& scan = *static_cast<Scan*>(context);
  if (std::find(scan.accused.begin(), scan.accused.end(), module.base) == scan.accused.end()) {
    return;
  }
  for (const Scanned& each : scan.done) {
    if (each.base == module.base && each.name == module.name) return;
  }
  scan.wanted.push_back(module);
  scan.done.push_back({module.base, module.name});
}

void scan_wanted(const markers::ElfModule& module, void* context) {
  for (const os::Module& wanted : static_cast<Scan*>(context)->wanted) {
    if (wanted.base != module.base) continue;
    char name[sizeof wanted.name];
    memcpy(name, wanted.name, sizeof name);
    os::scan_module(
        module, wanted.executable ? "/proc/self/exe" : wanted.path,
        [](os::Unsupported use, const char* symbol, void* to) {
          note(use, static_cast<const char*>(to), symbol);
        },
        name);
    return;
  }
}

void look_at_handlers() {
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action = {};
    if (::sigaction(number, nullptr, &action) != 0) continue;
    const auto handler = reinterpret_cast<const void*>(action.sa_handler);
    if (os::handler_matters(number, handler)) {
      note_unsupported_use(os::Unsupported::kSignalHandler, os::signal_name(number), {handler});
    }
  }
}

// Also what is made beside it, under its name with something behind.
bool is_own_path(const char* path) {
  for (const char* own = own_paths; own != nullptr && *own != '\0'; own += strlen(own) + 1) {
    const size_t length = strlen(own);
    if (strncmp(path, own, length) != 0) continue;
    const bool longer_number = path[length] >= '0' && path[length] <= '9';
    if (!longer_number) return true;
  }
  return false;
}

}  // namespace

void prepare_unsupported_uses() {
  const char* value = getenv(kOwnPathsVariable);
  if (value == nullptr || *value == '\0') return;
  char* copy = static_cast<char*>(calloc(strlen(value) + 2, 1));
  if (copy == nullptr) return;
  strcpy(copy, value);
  for (char* at = copy; *at != '\0'; ++at) {
    if (*at == ':') *at = '\0';
  }
  own_paths = copy;
}

void look_for_unsupported_uses() {
  const os::MetaLevel meta;
  static os::NeverDestroyed<Scan> kept;
  Scan& scan = *kept;
  scan.wanted.clear();
  scan.accused = accused_modules();
  os::for_each_module(choose_module, &scan);
  if (!scan.wanted.empty()) markers::for_each_elf_module(scan_wanted, &scan);
  is_server.store(true, std::memory_order_release);
  look_at_handlers();
}

void note_map_problem(const markers::JoinPointMap& map, const markers::NotIntercepted& problem) {
  const markers::JoinPoint& join_point = *problem.join_point;
  // The function last: it may be longer than there is room.
  const std::string text = join_point.name + ": " + problem.why + ": " + join_point.function;
  note(problem.too_wide ? os::Unsupported::kMapTooWide : os::Unsupported::kMapMissing,
       ("map " + map.name).c_str(), text.c_str());
}

void note_unsupported_use(os::Unsupported use, const char* symbol, os::CallSite site) {
  if (!is_server.load(std::memory_order_acquire)) return;
  const os::MetaLevel meta;
  const int saved_errno = errno;
  if (use == os::Unsupported::kSignalHandler) {
    const os::Module* module = os::module_of(site.address);
    if (module == nullptr && os::modules_added() != os::modules_added_at_snapshot()) {
      os::refresh_modules();
      module = os::module_of(site.address);
    }
    const char* name = module != nullptr ? module->name : "";
    const ModuleKind kind =
        module != nullptr ? map_classification().kind_of(name) : ModuleKind::kApplication;
    // An interpreter's handlers run what the application wrote.
    if (kind == ModuleKind::kApplication || kind == ModuleKind::kInterpreter) {
      note(use, name, symbol);
    }
  } else if (!is_own_path(symbol)) {
    const char* library = "";
    if (caller_kind(site, &library) == ModuleKind::kApplication) note(use, library, symbol);
  }
  errno = saved_errno;
}

void publish_unsupported_uses() {
  replica->control().uses.add_all(os::counters().uses, static_cast<unsigned>(replica->id()));
}

}  // namespace auxin::replication
