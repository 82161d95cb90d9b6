// SPDX-License-Identifier: Apache-2.0
//
// The steps of a stable node's processor, at which a test can end it: node_step.def says what a
// death at each leaves behind. Nothing in the product; stable_node_kill_test.cpp compiles the room
// with AUXIN_NODE_STEPS and gives the function a body.
#pragma once

namespace auxin::stm {

enum class NodeStep : int {
#define NODE_STEP(name) k##name,
#include "stmemu/node/node_step.def"
#undef NODE_STEP
};

#ifdef AUXIN_NODE_STEPS
void node_step(NodeStep step);
#else
inline void node_step(NodeStep) {}
#endif

}  // namespace auxin::stm
