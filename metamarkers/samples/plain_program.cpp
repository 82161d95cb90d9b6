// SPDX-License-Identifier: Apache-2.0
//
// Uses the annotated middleware in a process without Auxin: nothing is skipped, nothing is marked.
// Exits with 0 if all is as it should be.
#include "metamarkers/samples/annotated.h"

namespace {
int looked = 0;
void look(void*) { ++looked; }
}  // namespace

int main() {
  if (annotated_c_upcall(look, nullptr) != 1 || annotated_c_sweep(look, nullptr) != 1) return 1;
  if (annotated_cpp_upcall(look, nullptr) != 1 || annotated_cpp_sweep(look, nullptr) != 1) return 2;
  try {
    annotated_cpp_throws(look, nullptr);
    return 3;
  } catch (int thrown) {
    if (thrown != 7) return 4;
  }
  annotated_request(1, 2, look, nullptr);
  annotated_many(3);
  return looked == 8 ? 0 : 5;
}
