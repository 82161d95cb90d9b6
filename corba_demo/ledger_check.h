// SPDX-License-Identifier: Apache-2.0
//
// Exactly once: compares the bank's statements with what the clients were told.
//
// For every call that moves money the statements must hold
//   acknowledged, or failed "completed yes"   its entries exactly once,
//   refused, or failed "completed no"         none of its entries,
//   failed "completed maybe", or in flight    all of its entries once, or none.
// No other entry may be there; each statement must add up; an answered balance must be the one in
// the entry; entries that one client waited for must stand in the order in which it called.
// One-way notes may be lost (CORBA promises no more) but never doubled.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bank.hh"
#include "call_log.h"
#include "load_options.h"

namespace bank {

struct LedgerVerdict {
  uint64_t entry_count = 0;           // looked at
  uint64_t checked_call_count = 0;    // with entries to be found
  uint64_t applied_unacknowledged = 0;
  uint64_t lost_note_count = 0;
  uint64_t violation_count = 0;
  std::vector<std::string> violations;  // the first 50
  std::string fingerprint;              // the bank's, after its queue was empty
};

// Puts kInitialFunds into each shared account. Throws CORBA exceptions, and std::runtime_error if
// an account is not new.
void fund_shared_accounts(const LoadOptions& options, Bank::Teller_ptr teller);

// Once all clients have ended. `accounts_before`: how many the bank had before the first call.
// Throws CORBA exceptions if the bank does not answer.
LedgerVerdict check_ledger(const LoadOptions& options, CallLog& log, Bank::Teller_ptr teller,
                           uint64_t accounts_before);

}  // namespace bank
