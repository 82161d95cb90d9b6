// SPDX-License-Identifier: Apache-2.0
//
// The protocol: what is sent with what, when something is received, what an output waits for.
#include "manetho.h"

#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>

namespace manetho {
namespace {

constexpr uint64_t kStateId = 1;
// So many checkpoints make one chain of base and increments.
constexpr uint32_t kBaseEvery = 32;

ProcessState the_state;

auxin_checkpoint_options options() {
  auxin_checkpoint_options options = AUXIN_CHECKPOINT_OPTIONS;
  options.base_every = kBaseEvery;
  return options;
}

}  // namespace

Process::Process(const std::string& directory, uint32_t self, uint64_t checkpoint_every,
                 uint64_t tokens, uint64_t hops)
    : directory_(directory),
      self_(self),
      checkpoint_every_(checkpoint_every),
      state_(the_state),
      store_(directory + "/checkpoints-" + std::to_string(self)),
      saved_(options()),
      random_(std::random_device{}()) {
  saved_.add_range(kStateId, &state_, sizeof(state_));
  if (saved_.restore(store_)) {
    note_checkpoint();
  } else {
    state_.application.start(self_, tokens, hops, *this);
  }
  is_recovering_ = true;
  for (uint32_t i = 0; i < kProcesses; ++i) peers_[i].arrived = state_.received[i];
  printf("begins %" PRIu64 " as process %d\n", state_.interval, getpid());
}

void Process::send(uint32_t to, const Token& token) {
  const uint64_t number = state_.sent[to].add({state_.interval, token});
  if (peers_[to].is_introduced && state_.sent[to].is_needed(number)) {
    transmit(to, Kind::kMessage, number);
  }
}

void Process::put_out(uint64_t token, uint64_t value) {
  demand(state_.outputs_made - state_.outputs_done < kOutputRoom, "too many outputs wait");
  const uint64_t ordinal = ++state_.outputs_made;
  state_.outputs[ordinal % kOutputRoom] = {ordinal, state_.interval, token, value};
}

// Every frame carries the receipts that the other one has not been told of on this connection.
void Process::transmit(uint32_t to, Kind kind, uint64_t number) {
  Peer& peer = peers_[to];
  Frame frame{};
  frame.header.kind = kind;
  frame.header.from = self_;
  frame.header.arrived = peer.arrived;
  frame.header.covered_receipts = covered_received_[to];
  if (kind == Kind::kMessage) {
    const MessageLog::Entry& entry = state_.sent[to].entry(number);
    frame.header.number = number;
    frame.header.interval = entry.interval;
    frame.header.token = entry.token;
  }
  frame.receipts = state_.graph.beyond(peer.told);
  for (uint32_t i = 0; i < kProcesses; ++i) {
    frame.header.covered[i] = state_.covered[i];
    frame.header.known[i] = peer.told[i] = state_.graph.last(i);
  }
  peer.link.send(frame);
}

// The first frame on a connection: all receipts that are known here.
void Process::introduce(uint32_t peer) {
  std::fill(std::begin(peers_[peer].told), std::end(peers_[peer].told), 0);
  transmit(peer, Kind::kHello);
}

void Process::handle(uint32_t from, const Frame& frame) {
  const FrameHeader& header = frame.header;
  Peer& peer = peers_[from];
  for (uint32_t i = 0; i < kProcesses; ++i) {
    if (i != self_) {
      state_.covered[i] = std::max(state_.covered[i], header.covered[i]);
      state_.graph.forget(i, state_.covered[i]);
    }
  }
  for (const Receipt& receipt : frame.receipts) state_.graph.add(receipt);
  for (uint32_t i = 0; i < kProcesses; ++i) {
    peer.known[i] = header.known[i];
    peer.told[i] = std::max(peer.told[i], header.known[i]);
  }
  state_.sent[from].forget(header.covered_receipts);
  if (header.kind == Kind::kHello) handle_hello(from, header);
  if (header.kind == Kind::kHold) transmit(from, Kind::kHeld);
  if (header.kind != Kind::kMessage || header.number <= peer.arrived) return;  // it came again
  demand(header.number == peer.arrived + 1, "a message before it is missing");
  peer.arrived = header.number;
  peer.messages.push_back({header.number, header.interval, header.token});
}

void Process::handle_hello(uint32_t from, const FrameHeader& hello) {
  Peer& peer = peers_[from];
  peer.is_introduced = peer.was_introduced = true;
  peer.asked = 0;
  for (uint64_t number = hello.arrived + 1; number <= state_.sent[from].last(); ++number) {
    transmit(from, Kind::kMessage, number);
  }
}

// The order of receipts: as the graph has it, and where it ends, any.
bool Process::can_receive(uint32_t* from) {
  std::vector<uint32_t> candidates;
  for (uint32_t i = 0; i < kProcesses; ++i) {
    if (i != self_ && !peers_[i].was_introduced) return false;
    if (!peers_[i].messages.empty()) candidates.push_back(i);
  }
  if (const Receipt* receipt = state_.graph.find(self_, state_.interval + 1)) {
    *from = receipt->sender;
    return !peers_[*from].messages.empty();
  }
  if (is_recovering_) {
    is_recovering_ = false;
    printf("recovered %" PRIu64 "\n", state_.interval);
  }
  if (candidates.empty()) return false;
  *from = candidates[random_() % candidates.size()];
  return true;
}

void Process::receive(uint32_t from) {
  const Arrived message = peers_[from].messages.front();
  peers_[from].messages.pop_front();
  const Receipt receipt{self_, from, ++state_.interval, ++state_.received[from],
                        message.interval};
  demand(message.number == receipt.number, "a message is received out of order");
  if (const Receipt* before = state_.graph.find(self_, receipt.interval)) {
    demand(before->sender == from && before->number == receipt.number &&
               before->sender_interval == receipt.sender_interval,
           "what is repeated is not what was");
  }
  state_.graph.add(receipt);
  state_.application.receive(self_, from, receipt.number, message.token, *this);
  if (state_.interval % checkpoint_every_ == 0) save();
}

void Process::save() {
  saved_.save(store_);
  note_checkpoint();
}

// The state is that of the newest checkpoint.
void Process::note_checkpoint() {
  state_.covered[self_] = state_.interval;
  state_.graph.forget(self_, state_.interval);
  std::copy(std::begin(state_.received), std::end(state_.received), covered_received_);
}

// An output may leave when no death can undo it: its receipts are in a checkpoint, or another
// process has them. (Receipts of others that it depends on, their processes and this one have.)
void Process::commit_outputs() {
  while (state_.outputs_done < state_.outputs_made) {
    const Output& output = state_.outputs[(state_.outputs_done + 1) % kOutputRoom];
    bool is_safe = output.interval <= state_.covered[self_];
    for (const Peer& peer : peers_) is_safe = is_safe || peer.known[self_] >= output.interval;
    if (!is_safe) break;
    printf("output %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIx64 "\n", output.ordinal,
           output.interval, output.token, output.value);
    ++state_.outputs_done;
  }
  if (state_.outputs_done == state_.outputs_made) return;
  for (uint32_t i = 0; i < kProcesses; ++i) {
    if (!peers_[i].is_introduced || peers_[i].asked == state_.interval) continue;
    peers_[i].asked = state_.interval;
    transmit(i, Kind::kHold);
  }
}

}  // namespace manetho
