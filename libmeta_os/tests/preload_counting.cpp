// SPDX-License-Identifier: Apache-2.0
//
// libauxin_counting_test.so: the hooks with every facet installed in its default form (libc's own
// calls) and a classification that selects as the environment says:
//   AUXIN_TEST_SELECT=none|all   which synchronisation objects are contention points and which reads
//                                are values (default none)
// Site class: one per module.
#include <stdlib.h>
#include <string.h>

#include "libmeta_os/counters.h"
#include "libmeta_os/facets.h"
#include "libmeta_os/modules.h"

namespace auxin::os {
namespace {

class ByModule : public Classification {
 public:
  Verdict synchronisation_object(CallSite site) override {
    const Module* const module = module_of(site.address);
    return {select_all_, site_class(module == nullptr ? "?" : module->name, ""), true};
  }
  bool value(CallSite) override { return select_all_; }
  void select_all() { select_all_ = true; }

 private:
  bool select_all_ = false;
};

ByModule by_module;
SynchronisationFacet synchronisation;
ThreadFacet threads;
DescriptorFacet descriptors;
ValueFacet values;
ProcessFacet process;

// Late enough for the C++ objects above: they are in this file, and this is its last object.
struct Installed {
  Installed() {
    const char* const select = getenv("AUXIN_TEST_SELECT");
    if (select != nullptr && strcmp(select, "all") == 0) by_module.select_all();
    facets = {&synchronisation, &threads, &descriptors, &values, &process};
    classification = &by_module;
  }
} installed;

}  // namespace
}  // namespace auxin::os
