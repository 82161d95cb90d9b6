// SPDX-License-Identifier: Apache-2.0
//
// What a client and the file service say to one another: one record each way, over a Unix socket of
// type SOCK_SEQPACKET. A connection has at most one open transaction.
#pragma once

#include <cstdint>

namespace file_service {

constexpr uint32_t kNameBytes = 40;    // of a file's name, with the zero at its end
constexpr uint32_t kFileBytes = 4032;  // of a file, at most
constexpr uint32_t kDataBytes = 1024;  // in one record, at most

enum class Operation : uint32_t {
  kBegin = 1,     // transaction `number` of `client`; an open one is aborted
  kRead = 2,      // `length` bytes from `offset`; fewer at the file's end
  kWrite = 3,     // `length` bytes of data to `offset`; makes the file if there is none
  kTruncate = 4,  // the file has `offset` bytes then; 0: there is no such file any more
  kCommit = 5,
  kAbort = 6,
  kOutcome = 7,  // was transaction `number` of `client` committed?
  kGoodbye = 8,  // no more transactions of `client`: what is known of them may be forgotten
};

enum class Status : uint32_t {
  kOk = 0,
  kNoTransaction = 1,  // none is open
  kConflict = 2,       // aborted: another one has changed what it had read
  kFull = 3,           // aborted: no room for it; or, at its begin, for one more client
  kTooLarge = 4,       // the file would be; the transaction goes on without this write
  kNotCommitted = 5,   // the answer to kOutcome, and it will stay so
  kBadRequest = 6,
};

struct Request {
  Operation operation;
  uint32_t length;
  uint64_t client, number;
  uint64_t offset;
  char name[kNameBytes];
  char data[kDataBytes];
};

struct Reply {
  Status status;
  uint32_t length;
  char data[kDataBytes];
};

}  // namespace file_service
