// SPDX-License-Identifier: Apache-2.0
//
// What three processes say they did, done again in one: their receipts in their order, and nothing
// else. If all fits, no process depends on what another one has not done.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../application.h"

namespace manetho::test {

using Ledger = std::vector<Application::Entry>;

Ledger read_ledger(const std::string& path);

// "": each message that was received had been sent, with the contents that its receiver saw, each
// one that was sent was received once, and each receipt had the effect that its ledger says. Else,
// what does not fit.
std::string repeat(const Ledger (&ledgers)[kProcesses], uint64_t tokens, uint64_t hops);

}  // namespace manetho::test
