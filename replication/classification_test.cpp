// SPDX-License-Identifier: Apache-2.0
//
// What kind of module a library is, by the maps and without any.
#include "replication/classification.h"

#include <gtest/gtest.h>

namespace auxin::replication {
namespace {

TEST(Classification, KnowsLibrariesByTheMapsPatterns) {
  markers::JoinPointMap map;
  map.infrastructure = {"libomniORB4.so*"};
  map.own_sockets = {"libzmq.so*"};
  MapClassification classification;
  classification.add_map(&map);
  EXPECT_EQ(classification.kind_of("libomniORB4.so.2"), ModuleKind::kInfrastructure);
  EXPECT_EQ(classification.kind_of("libzmq.so.5"), ModuleKind::kOwnSockets);
  EXPECT_EQ(classification.kind_of("bank_server"), ModuleKind::kApplication);
}

// libunwind is loaded by us, into whatever server: at a thread's end it takes a lock of its own.
TEST(Classification, WhatIsBetweenProgramAndSystemHasNoContentionPoints) {
  const MapClassification without_maps;
  for (const char* library : {"libc.so.6", "libstdc++.so.6", "libunwind.so.8",
                              "libunwind-x86_64.so.8", "libauxin.so"}) {
    EXPECT_EQ(without_maps.kind_of(library), ModuleKind::kConduit) << library;
  }
}

}  // namespace
}  // namespace auxin::replication
