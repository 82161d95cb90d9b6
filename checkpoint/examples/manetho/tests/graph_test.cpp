// SPDX-License-Identifier: Apache-2.0
//
// Goal: an antecedence graph has what was added and not forgotten, and tells what another one
// lacks.
#include <gtest/gtest.h>

#include <memory>

#include "../antecedence_graph.h"

namespace manetho {
namespace {

Receipt receipt(uint32_t process, uint64_t interval) {
  return {process, (process + 1) % kProcesses, interval, interval, interval};
}

class ManethoGraph : public testing::Test {
 protected:
  std::unique_ptr<AntecedenceGraph> graph_ = std::make_unique<AntecedenceGraph>();
};

TEST_F(ManethoGraph, TellsWhatAnotherOneLacks) {
  for (uint64_t i = 1; i <= 5; ++i) graph_->add(receipt(0, i));
  for (uint64_t i = 1; i <= 3; ++i) graph_->add(receipt(2, i));
  graph_->add(receipt(0, 2));  // known
  EXPECT_EQ(graph_->last(0), 5u);
  EXPECT_EQ(graph_->last(1), 0u);
  const uint64_t known[kProcesses] = {3, 0, 0};
  EXPECT_EQ(graph_->beyond(known).size(), 5u);
  const uint64_t more[kProcesses] = {9, 9, 2};
  const std::vector<Receipt> lacking = graph_->beyond(more);
  ASSERT_EQ(lacking.size(), 1u);
  EXPECT_EQ(lacking[0].process, 2u);
  EXPECT_EQ(lacking[0].interval, 3u);
}

TEST_F(ManethoGraph, ForgetsWhatACheckpointCovers) {
  for (uint64_t i = 1; i <= 5; ++i) graph_->add(receipt(1, i));
  graph_->forget(1, 3);
  EXPECT_EQ(graph_->find(1, 3), nullptr);
  ASSERT_NE(graph_->find(1, 4), nullptr);
  EXPECT_EQ(graph_->find(1, 4)->number, 4u);
  EXPECT_EQ(graph_->find(1, 6), nullptr);
  graph_->forget(1, 7);  // a checkpoint of what this process has not heard of
  EXPECT_EQ(graph_->last(1), 7u);
  graph_->add(receipt(1, 8));
  ASSERT_NE(graph_->find(1, 8), nullptr);
  for (uint64_t i = 9; i < 1000; ++i) {
    graph_->add(receipt(1, i));
    graph_->forget(1, i - 5);
  }
  EXPECT_EQ(graph_->find(1, 999)->number, 999u);
}

TEST_F(ManethoGraph, AGapEndsTheProcess) {
  graph_->add(receipt(1, 1));
  EXPECT_DEATH(graph_->add(receipt(1, 3)), "a gap in the antecedence graph");
}

}  // namespace
}  // namespace manetho
