// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/server/forwarder.h"

#include <chrono>

#include "checkpoint/service_thread.h"

namespace auxin::checkpoint {
namespace {

constexpr auto kTryAgainAfter = std::chrono::seconds(1);

}  // namespace

Forwarder::Forwarder(std::string to, RemoteOptions options, KeptStates* states,
                     std::function<void(const std::string&)> tell)
    : states_(states), peers_(std::move(to), std::move(options)), tell_(std::move(tell)) {
  if (const Expected<std::vector<std::string>> names = states_->names()) {
    waiting_.insert(names->begin(), names->end());
  }
  thread_ = service_thread([this] { run(); });
}

Forwarder::~Forwarder() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Forwarder::notify(const std::string& name) {
  const std::lock_guard lock(mutex_);
  waiting_.insert(name);
  changed_.notify_all();
}

void Forwarder::run() {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    changed_.wait(lock, [&] { return ends_ || !waiting_.empty(); });
    std::set<std::string> now;
    now.swap(waiting_);
    bool unreachable = false;
    for (const std::string& name : now) {
      if (ends_) return;
      lock.unlock();
      const Outcome outcome = forward(name);
      if (!outcome && tell_) tell_(name + " is not handed on: " + outcome.sentence);
      lock.lock();
      // Another attempt can mend it; else the next message of the name is one.
      const bool again = outcome.status == AUXIN_CHECKPOINT_INPUT_OUTPUT ||
                         outcome.status == AUXIN_CHECKPOINT_NO_SPACE ||
                         outcome.status == AUXIN_CHECKPOINT_BUSY;
      if (again) waiting_.insert(name);
      unreachable = unreachable || again;
    }
    if (unreachable) changed_.wait_for(lock, kTryAgainAfter, [&] { return ends_.load(); });
  }
}

Outcome Forwarder::forward(const std::string& name) {
  Outcome outcome;
  const std::shared_ptr<KeptState> state = states_->find(name, false, &outcome);
  if (state == nullptr) return outcome;
  return peers_.with(name, [&](RemoteStore& other) { return catch_up(*state, other); });
}

Outcome Forwarder::catch_up(KeptState& state, RemoteStore& other) {
  if (Outcome outcome = other.ask_report(); !outcome) return outcome;
  while (!ends_) {
    const StoreReport there = other.report();
    const Expected<ByteBuffer> bytes = [&]() -> Expected<ByteBuffer> {
      const std::lock_guard lock(state.mutex);
      return state.store->message_after({there.state, there.sequence});
    }();
    if (bytes.status() == AUXIN_CHECKPOINT_EMPTY) break;
    if (!bytes) return bytes.outcome();
    const Expected<MessageView> message = MessageView::of(bytes->view());
    if (!message) return message.outcome();
    if (Outcome outcome = other.put(*message); !outcome) return outcome;
  }
  return Outcome::ok();
}

}  // namespace auxin::checkpoint
