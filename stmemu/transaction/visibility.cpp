// SPDX-License-Identifier: Apache-2.0
//
// What a program can touch of a transaction's objects (mode window; in other modes everything is
// touchable, or nothing).
#include "stmemu/transaction/activation.h"

namespace auxin::stm {

// Makes the object's pages touchable; in other modes everything is, or nothing.
void Activation::show(Touched& object, OpenFor purpose) {
  Window* window = memory_.window();
  if (__builtin_expect(window == nullptr, 1)) return;
  const bool for_change = purpose == OpenFor::kChanging;
  if (object.shown && (object.shown_for_change || !for_change)) return;
  if (object.shown) hide(object);
  const uint64_t size = whole_pages(object.becomes.size_bytes()) * kPageBytes;
  window->open(object.place.contents, size, for_change);
  object.shown = true;
  object.shown_for_change = for_change;
}

// From here on what is in the banks is what is committed: no late store of the program gets in.
void Activation::hide_all() {
  if (__builtin_expect(memory_.window() == nullptr, 1)) return;
  for (Touched& touched : touched_) hide(touched);
}

void Activation::hide(Touched& object) {
  if (__builtin_expect(!object.shown, 1)) return;
  memory_.window()->close(object.place.contents,
                          whole_pages(object.becomes.size_bytes()) * kPageBytes);
  object.shown = false;
}

bool Activation::show_again(uint64_t address, bool writing) {
  for (Touched& touched : touched_) {
    if (!touched.shown || (writing && !touched.shown_for_change)) continue;
    if (address - touched.place.contents >= touched.becomes.size_bytes()) continue;
    memory_.window()->open(address / kPageBytes * kPageBytes, kPageBytes,
                           touched.shown_for_change);
    return true;
  }
  return false;
}

}  // namespace auxin::stm
