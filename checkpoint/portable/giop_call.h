// SPDX-License-Identifier: Apache-2.0
//
// One call at a time to a CORBA object, without an ORB: what a checkpoint of an application's own
// state needs, and no more. GIOP 1.0, whose messages are never in fragments.
//
// Thread safety: none; a call blocks until its reply, or until its patience is over.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/portable/object_reference.h"
#include "stmemu/result.h"

namespace auxin::checkpoint {

using Octets = std::vector<uint8_t>;

// How a call went. What is not kDone has a sentence.
enum class CallStatus {
  kDone,
  kUserException,    // `exception` is its repository id
  kSystemException,  // likewise
  kForwarded,        // the object is at `forwarded_to`
  kUnreachable,      // no connection, or it broke before the reply
  kDamaged,          // the reply is none
};

struct CallResult {
  CallStatus status = CallStatus::kDamaged;
  std::string exception;
  ObjectReference forwarded_to;
  Octets body;             // the results, as they are in the message
  uint64_t body_at = 0;    // where in the message they stand: by this they are aligned
  bool little_endian = true;
  std::string text;        // the sentence
};

// The parameters of a call: none, a string, or a sequence of octets.
Octets no_parameters();
Octets text_parameter(const std::string& text);
Octets octets_parameter(std::span<const uint8_t> octets);

// A whole request. Strings and sequences of octets are aligned to 4 bytes, as the header ends.
Octets request_message(uint32_t request_id, const std::string& key, const std::string& operation,
                       const Octets& parameters);

// The reply in `message`, a whole message with its header.
CallResult parse_reply(std::span<const uint8_t> message, uint32_t request_id);

// The results of a call that returns a boolean, or a sequence of octets.
Result<bool> boolean_result(const CallResult& result);
Result<Octets> octets_result(const CallResult& result);

inline constexpr uint32_t kMostReplyBytes = 1u << 30;

// Connects, calls, waits for the reply and closes. Follows the object where it is forwarded to, up
// to four times.
CallResult call_object(const ObjectReference& object, const std::string& operation,
                       const Octets& parameters, int64_t patience_ms);

}  // namespace auxin::checkpoint
