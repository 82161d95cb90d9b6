// SPDX-License-Identifier: Apache-2.0
//
// What a program can touch of a transaction's objects (mode window; in other modes everything is
// touchable, or nothing).
#include "stmemu/transaction/activation.h"

namespace auxin::stm {

void Activation::show_pages(Touched& object, OpenFor purpose) {
  const bool for_change = purpose == OpenFor::kChanging;
  if (object.shown == Shown::kForChange || (object.shown == Shown::kForReading && !for_change)) {
    return;
  }
  hide(object);
  const uint64_t size = whole_pages(object.becomes.size_bytes()) * kPageBytes;
  memory_.window()->open(object.spot.contents, size, for_change);
  object.shown = for_change ? Shown::kForChange : Shown::kForReading;
}

void Activation::hide_all_pages() {
  for (Touched& touched : touched_) hide(touched);
}

void Activation::hide_pages(Touched& object) {
  memory_.window()->close(object.spot.contents,
                          whole_pages(object.becomes.size_bytes()) * kPageBytes);
  object.shown = Shown::kNo;
}

bool Activation::show_again(uint64_t address, bool writing) {
  for (Touched& touched : touched_) {
    const bool for_change = touched.shown == Shown::kForChange;
    if (touched.shown == Shown::kNo || (writing && !for_change)) continue;
    if (address - touched.spot.contents >= touched.becomes.size_bytes()) continue;
    memory_.window()->open(address / kPageBytes * kPageBytes, kPageBytes, for_change);
    return true;
  }
  return false;
}

}  // namespace auxin::stm
