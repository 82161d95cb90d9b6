// SPDX-License-Identifier: Apache-2.0
//
// What `auxin verify` found: plain values, and how they are shown.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/verify/open_pairs.h"
#include "analysis/verify/selected_locks.h"
#include "cli/report_json.h"
#include "cli/unsupported_lines.h"
#include "cli/verify/rehearsals.h"

namespace auxin::cli {

enum class Cause : uint8_t {
  kUnknown,
  kLock,      // critical sections on an unordered lock changed places
  kDataRace,  // nothing stands between two that share something
  kValue,     // a process's own value
  kOpenPair,  // an ordered lock under an unordered one
};

struct Explanation {
  Cause cause = Cause::kUnknown;
  std::vector<std::string> functions;  // kLock, kDataRace: the two; kValue: the one that replied
  std::vector<std::vector<std::string>> others;  // kDataRace: pairs that are suspicious too
  std::string lock_kind;               // kLock
  std::string call;                    // kValue: the call that gave it; "": not known
  uint64_t seen = 0, of = 0;           // in how many of the failures that were looked at
  std::string sentence;
};

// One rehearsal that did not end as the leader did.
struct Failure {
  uint64_t base_seed = 0, seed = 0;
  RehearsalEnd end = RehearsalEnd::kDiverged;
  std::string text;                    // what the replica said, or what it waited for
  std::string operation;               // of the request; "": none, or not known
  uint64_t activity = 0;
  uint64_t connection = 0, request = 0;  // 0: it was no request
  uint64_t entry = 0;                  // of the log
  bool reply_differs = false;
  uint32_t offset = 0, size_bytes = 0, leader_size_bytes = 0;
  uint32_t kept_offset = 0;            // where the bytes below begin in the reply
  std::string bytes, leader_bytes;     // hexadecimal, around the first that differs

  std::string name() const;            // "BASE:SEED", as --replay takes it
};

enum class Need : uint8_t {
  kNeeded,      // left out, a replica differed or stood still
  kNotNeeded,   // left out, all agreed
  kNeverShared  // one activity alone takes it: there is no order to decide
};

struct TriedLock {
  analysis::SelectedLock lock;
  Need need = Need::kNotNeeded;
  uint64_t schedules = 0;              // tried without it
  std::string caught;                  // kNeeded: by which schedule
  RehearsalEnd caught_by = RehearsalEnd::kDiverged;
};

struct VerifyReport {
  std::string server;
  uint64_t seed = 0;
  uint64_t base_runs = 0, requests = 0, replies = 0;  // of the base runs; compared in all schedules
  uint64_t schedules = 0;              // with the whole selection
  uint64_t agreed = 0, diverged = 0, stalled = 0, crashed = 0;
  uint64_t all_schedules = 0;          // those of the minimality trials too
  double rehearsal_s = 0, seconds = 0;
  std::vector<Failure> failures;       // the first ones
  Explanation explanation;             // of the failures that differed or crashed
  std::vector<analysis::OpenPair> open_pairs;
  bool stalls_explained = true;        // by the open pairs
  bool minimal_tried = false;
  std::vector<TriedLock> locks;
  std::string kept;                    // where the failure is kept; "": it is not
  std::vector<UnsupportedLine> unsupported;  // what the server uses that no lock's order settles
  std::string not_kept;                // why not, although it was asked for

  bool sufficient() const { return diverged == 0 && crashed == 0 && (stalled == 0 || !closed()); }
  bool closed() const { return open_pairs.empty(); }
  bool sound() const {
    return explanation.cause != Cause::kDataRace && explanation.cause != Cause::kValue;
  }
  bool minimal() const;
  bool fine() const { return sufficient() && closed() && sound(); }
};

Json to_json(const VerifyReport& report);
std::string to_text(const VerifyReport& report);

// "known::DataRace::put and known::DataRace::look".
std::string both(const std::vector<std::string>& functions);
const char* name_of(Cause cause);
const char* name_of(RehearsalEnd end);
const char* name_of(Need need);

}  // namespace auxin::cli
