// SPDX-License-Identifier: Apache-2.0
#include "repetition.h"

#include <cinttypes>
#include <cstdio>
#include <deque>
#include <memory>

namespace manetho::test {
namespace {

class World final : public Surroundings {
 public:
  void send(uint32_t to, const Token& token) override { channels_[acting_][to].push_back(token); }
  void put_out(uint64_t, uint64_t) override {}

  std::string run(const Ledger (&ledgers)[kProcesses], uint64_t tokens, uint64_t hops) {
    for (acting_ = 0; acting_ < kProcesses; ++acting_) {
      processes_[acting_] = std::make_unique<Application>();
      processes_[acting_]->start(acting_, tokens, hops, *this);
    }
    for (bool moves = true; moves;) {
      moves = false;
      for (acting_ = 0; acting_ < kProcesses; ++acting_) {
        while (can_receive(ledgers[acting_])) {
          moves = true;
          const uint64_t at = processes_[acting_]->receipts;
          if (!receive(ledgers[acting_][at])) {
            return "process " + std::to_string(acting_) + ": receipt " + std::to_string(at + 1) +
                   " can't have been so";
          }
        }
      }
    }
    for (uint32_t i = 0; i < kProcesses; ++i) {
      const uint64_t done = processes_[i]->receipts;
      if (done != ledgers[i].size()) {
        return "process " + std::to_string(i) + " has received what nobody sent: receipt " +
               std::to_string(done + 1) + " of " + std::to_string(ledgers[i].size());
      }
      for (const auto& channel : channels_[i]) {
        if (!channel.empty()) return "process " + std::to_string(i) + " sent what nobody received";
      }
    }
    return "";
  }

 private:
  bool can_receive(const Ledger& ledger) {
    const uint64_t at = processes_[acting_]->receipts;
    return at < ledger.size() && ledger[at].sender < kProcesses &&
           !channels_[ledger[at].sender][acting_].empty();
  }
  bool receive(const Application::Entry& entry) {
    const auto from = static_cast<uint32_t>(entry.sender);
    std::deque<Token>& channel = channels_[from][acting_];
    const Token token = channel.front();
    channel.pop_front();
    if (entry.number != ++received_[from][acting_]) return false;
    processes_[acting_]->receive(acting_, from, entry.number, token, *this);
    return processes_[acting_]->value == entry.value;
  }

  uint32_t acting_ = 0;
  std::unique_ptr<Application> processes_[kProcesses];
  std::deque<Token> channels_[kProcesses][kProcesses];
  uint64_t received_[kProcesses][kProcesses] = {};
};

}  // namespace

Ledger read_ledger(const std::string& path) {
  Ledger ledger;
  FILE* const file = fopen(path.c_str(), "r");
  Application::Entry entry{};
  while (file != nullptr && fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNx64, &entry.sender,
                                   &entry.number, &entry.value) == 3) {
    ledger.push_back(entry);
  }
  if (file != nullptr) fclose(file);
  return ledger;
}

std::string repeat(const Ledger (&ledgers)[kProcesses], uint64_t tokens, uint64_t hops) {
  return World().run(ledgers, tokens, hops);
}

}  // namespace manetho::test
