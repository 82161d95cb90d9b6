// SPDX-License-Identifier: Apache-2.0
#include "stmemu/interface/environment.h"

namespace auxin::stm {
namespace {

thread_local constinit const Environment* current = nullptr;

}  // namespace

const Environment* current_environment() { return current; }

EnterEnvironment::EnterEnvironment(const Environment& environment) : outer_(current) {
  current = &environment;
}
EnterEnvironment::~EnterEnvironment() { current = outer_; }

uint64_t current_holder(const MemoryCore& core) {
  return current != nullptr && current->core == &core ? current->task : 0;
}

}  // namespace auxin::stm
