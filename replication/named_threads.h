// SPDX-License-Identifier: Apache-2.0
//
// The thread facet: a thread that the application starts gets the name (activity) that its creator
// and its place among the creator's children give it, the same in every replica. A thread that the
// ORB starts for its own purposes has none.
#pragma once

#include "libmeta_os/facets.h"

namespace auxin::replication {

class NamedThreads final : public os::ThreadFacet {
 public:
  Start creating(Start start, os::CallSite site) override;
  void creation_failed(Start replaced) override;
};

}  // namespace auxin::replication
