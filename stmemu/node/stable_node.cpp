// SPDX-License-Identifier: Apache-2.0
//
// class StableNode of <auxin/stm_node.h>.
#include "auxin/stm_node.h"

#include <utility>

#include "stmemu/check.h"
#include "stmemu/node/node_thread.h"

namespace auxin::stm {

const char* name_of(Role role) { return role == Role::kPrimary ? "primary" : "backup"; }

const char* name_of(NodeState state) {
  switch (state) {
    case NodeState::kStandby: return "standby";
    case NodeState::kActive: return "active";
    case NodeState::kHandingOver: return "handing over";
    case NodeState::kLeft: return "left";
  }
  return "unknown";
}

const char* name_of(NodeChange change) {
  switch (change) {
    case NodeChange::kBegun: return "begun";
    case NodeChange::kPromoted: return "promoted";
    case NodeChange::kInherited: return "inherited";
    case NodeChange::kReturned: return "returned";
    case NodeChange::kHandedOver: return "handed over";
  }
  return "unknown";
}

StableNode StableNode::join(const std::string& path, Role role, NodeOptions options) {
  StableNode node;
  node.memory_ = Memory::open(path, options.memory);
  auto thread = std::make_unique<Thread>(node.memory_.core_->shared_from_this(), role,
                                         std::move(options));
  thread->start();
  node.thread_ = std::move(thread);
  return node;
}

StableNode::StableNode() = default;
StableNode::StableNode(StableNode&&) noexcept = default;

StableNode& StableNode::operator=(StableNode&& other) noexcept {
  if (this != &other) {
    const StableNode before(std::move(*this));  // leaves
    memory_ = std::move(other.memory_);
    thread_ = std::move(other.thread_);
  }
  return *this;
}

StableNode::~StableNode() {
  if (thread_ == nullptr) return;
  if (thread_->forked()) {  // the thread is the parent's
    static_cast<void>(thread_.release());
    return;
  }
  try {
    leave();
  } catch (const Failure& failure) {
    check_failed(__FILE__, __LINE__, "leave", failure.what());
  }
}

void StableNode::leave() {
  if (thread_ != nullptr) thread_->leave();
}

bool StableNode::active() const { return thread_ != nullptr && thread_->active(); }

bool StableNode::wait_active(uint32_t timeout_ms) const {
  return thread_ != nullptr && thread_->wait_for(NodeState::kActive, timeout_ms);
}

bool StableNode::wait_standby(uint32_t timeout_ms) const {
  return thread_ != nullptr && thread_->wait_for(NodeState::kStandby, timeout_ms);
}

void StableNode::beat() {
  if (thread_ != nullptr) thread_->beat();
}

void StableNode::ask() {
  if (thread_ != nullptr) thread_->ask();
}

NodeReport StableNode::report() const {
  return thread_ != nullptr ? thread_->report() : NodeReport{};
}

}  // namespace auxin::stm
