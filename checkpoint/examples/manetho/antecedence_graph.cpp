// SPDX-License-Identifier: Apache-2.0
#include "antecedence_graph.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace manetho {

const Receipt* AntecedenceGraph::find(uint32_t process, uint64_t interval) const {
  if (interval <= forgotten_[process] || interval > last_[process]) return nullptr;
  return &receipts_[process][interval % kRoom];
}

void AntecedenceGraph::add(const Receipt& receipt) {
  const uint32_t process = receipt.process;
  demand(process < kProcesses && receipt.sender < kProcesses, "a receipt of an unknown process");
  if (receipt.interval <= last_[process]) return;
  demand(receipt.interval == last_[process] + 1, "a gap in the antecedence graph");
  demand(receipt.interval - forgotten_[process] <= kRoom, "the antecedence graph has no room");
  receipts_[process][receipt.interval % kRoom] = receipt;
  last_[process] = receipt.interval;
}

void AntecedenceGraph::forget(uint32_t process, uint64_t interval) {
  forgotten_[process] = std::max(forgotten_[process], interval);
  last_[process] = std::max(last_[process], interval);
}

std::vector<Receipt> AntecedenceGraph::beyond(const uint64_t (&known)[kProcesses]) const {
  std::vector<Receipt> receipts;
  for (uint32_t process = 0; process < kProcesses; ++process) {
    for (uint64_t interval = std::max(known[process], forgotten_[process]) + 1;
         interval <= last_[process]; ++interval) {
      receipts.push_back(*find(process, interval));
    }
  }
  return receipts;
}

void demand(bool holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "manetho: %s\n", what);
  abort();
}

}  // namespace manetho
