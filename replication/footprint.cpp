// SPDX-License-Identifier: Apache-2.0
#include "replication/footprint.h"

#include <stdio.h>
#include <string.h>

#include <vector>

#include "libmeta_os/never_destroyed.h"
#include "libmeta_os/real_calls.h"
#include "metamarkers/interception.h"
#include "replication/agreed_values.h"
#include "replication/named_threads.h"
#include "replication/replica.h"
#include "replication/shared_descriptors.h"
#include "replication/synchronisation.h"

namespace auxin::replication {
namespace {

struct Hook {
  const char* name;
  const char* facet;   // as in the hook's row
  void* (*real)();
};

constexpr Hook kHooks[] = {
#define AUXIN_CALL(family, facet, result, name, parameters, version, note) \
  {#name, #facet, [] { return reinterpret_cast<void*>(os::real().name); }},
#define AUXIN_LIST_CALL(family, facet, result, name, parameters, note)
#define AUXIN_LEFT(family, name, reason)
#include "libmeta_os/hook_table.def"
#undef AUXIN_CALL
#undef AUXIN_LIST_CALL
#undef AUXIN_LEFT
};

bool in_footprint(const Footprint& footprint, const char* facet) {
  if (strcmp(facet, "synchronisation") == 0)
    return footprint.synchronisation != nullptr || footprint.counts;
  if (strcmp(facet, "threads") == 0) return footprint.threads != nullptr;
  if (strcmp(facet, "descriptors") == 0 || strcmp(facet, "socket") == 0)
    return footprint.descriptors != nullptr;
  if (strcmp(facet, "values") == 0) return footprint.values != nullptr;
  return strcmp(facet, "process") == 0;  // the process's own events are everybody's
}

void describe(const Footprint& footprint) {
  if (replica == nullptr) return;
  char text[sizeof replica->control().facets];
  snprintf(text, sizeof text, "lifecycle%s%s%s%s%s",
           footprint.synchronisation ? ",synchronisation" : "", footprint.threads ? ",threads" : "",
           footprint.threads && footprint.descriptors ? ",descriptors" : "",
           footprint.values ? ",values" : "", footprint.counts ? ",counting" : "");
  memcpy(replica->control().facets, text, sizeof text);
}

}  // namespace

const Footprint& semi_active_footprint() {
  static os::NeverDestroyed<OrderedSynchronisation> synchronisation;
  static os::NeverDestroyed<NamedThreads> threads;
  static os::NeverDestroyed<SharedDescriptors> descriptors;
  static os::NeverDestroyed<AgreedValues> values;
  static const Footprint footprint{"semi-active", &*synchronisation, &*threads,
                                   &*descriptors, &*values,          true};
  return footprint;
}

namespace {

// Style "none": nothing is ordered or shared, but the supervisor wants to know when it serves.
class ServingNotice final : public os::DescriptorFacet {
 public:
  int listen(int fd, int backlog, os::CallSite) override {
    const int result = os::real().listen(fd, backlog);
    if (result == 0 && replica != nullptr) replica->slot().ready.store(1);
    return result;
  }
};

}  // namespace

const Footprint& supervised_footprint() {
  static os::NeverDestroyed<ServingNotice> notice;
  static const Footprint footprint{"none", nullptr, nullptr, &*notice, nullptr, true};
  return footprint;
}

const Footprint& counting_footprint() {
  static const Footprint footprint{"counting", nullptr, nullptr, nullptr, nullptr, true};
  return footprint;
}

namespace {

const Footprint* installed = nullptr;

}  // namespace

void take_unused_hooks_out() {
  if (installed == nullptr) return;
  std::vector<markers::Rebinding> taken_out;
  for (const Hook& hook : kHooks)
    if (!in_footprint(*installed, hook.facet)) taken_out.push_back({hook.name, hook.real()});
  markers::rebind(taken_out);
}

void install_footprint(const Footprint& footprint) {
  os::facets.synchronisation = footprint.synchronisation;
  os::facets.threads = footprint.threads;
  os::facets.descriptors = footprint.descriptors;
  os::facets.values = footprint.values;
  installed = &footprint;
  take_unused_hooks_out();
  describe(footprint);
}

}  // namespace auxin::replication
