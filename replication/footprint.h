// SPDX-License-Identifier: Apache-2.0
//
// Reflective footprints: which facets of the meta-interfaces a style needs, as data. Only these are
// switched on; the hooks of a facet that is in no footprint are taken out of the loaded modules
// again, so they cost nothing.
//
// Source: paper 004, slides 36, 46 and 47 (reflective footprints).
#pragma once

#include "libmeta_os/facets.h"

namespace auxin::replication {

struct Footprint {
  const char* name;
  os::SynchronisationFacet* synchronisation;
  os::ThreadFacet* threads;
  os::DescriptorFacet* descriptors;
  os::ValueFacet* values;
  bool counts;            // synchronisation calls are counted even where nothing orders them
};

const Footprint& semi_active_footprint();
const Footprint& supervised_footprint();  // style "none": counts, and says when it serves
const Footprint& counting_footprint();    // bare preload

// Puts the facets in force and takes the hooks of the others out. Once, or again after a dlopen.
void install_footprint(const Footprint& footprint);
// Once more what install_footprint() did to the modules' references: an observer of the hooks had
// them all (libmeta_os/observation.h).
void take_unused_hooks_out();

}  // namespace auxin::replication
