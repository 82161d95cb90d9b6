// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/poison_watch.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>

#include "replication/activity.h"
#include "replication/supervisor/sentence.h"

namespace auxin::supervisor {

bool is_crash_signal(int signal) {
  return signal == SIGSEGV || signal == SIGABRT || signal == SIGBUS || signal == SIGFPE ||
         signal == SIGILL;
}

std::optional<Poison> PoisonWatch::crashed(const Crash& crash) {
  for (const RequestInHand& request : crash.requests) {
    const auto found = suspects_.find(request.activity);
    if (found == suspects_.end()) continue;
    const Crash& first = found->second.crash;
    if (first.replica == crash.replica && first.incarnation == crash.incarnation) continue;
    return Poison{request, first, crash};
  }
  for (const RequestInHand& request : crash.requests) {
    suspects_[request.activity] = Suspect{crash, {}};
  }
  return {};
}

void PoisonWatch::alive(int replica, uint32_t incarnation,
                        const std::vector<RequestInHand>& requests, int64_t now_ms) {
  for (auto entry = suspects_.begin(); entry != suspects_.end();) {
    auto& seen = entry->second.seen_since_ms;
    const bool in_hand = std::any_of(
        requests.begin(), requests.end(),
        [&](const RequestInHand& request) { return request.activity == entry->first; });
    const auto known = seen.find(replica);
    if (!in_hand) {
      if (known != seen.end()) seen.erase(known);
    } else if (known == seen.end() || known->second.first != incarnation) {
      seen[replica] = {incarnation, now_ms};
    } else if (now_ms - known->second.second >= kHarmlessAfterMs) {
      entry = suspects_.erase(entry);
      continue;
    }
    ++entry;
  }
}

std::string describe(const Poison& poison) {
  const RequestInHand& request = poison.request;
  const std::string named = request.operation.empty() ? "" : " (" + request.operation + ")";
  return fmt::format(
      "request {}{} on connection {} (log position {}) killed replica {} by {} and replica {} by "
      "{}",
      request.request_id, named, replication::activity_connection(request.activity),
      request.log_position, poison.first.replica, signal_name(poison.first.signal),
      poison.second.replica, signal_name(poison.second.signal));
}

}  // namespace auxin::supervisor
