// SPDX-License-Identifier: Apache-2.0
//
// One conversation with a client, from its greeting to its end.
//
// Thread safety: one thread.
#pragma once

#include <string>

#include "checkpoint/server/kept_states.h"
#include "checkpoint/server/partial_transfers.h"
#include "checkpoint/transport/frame.h"
#include "checkpoint/transport/message_transfer.h"

namespace auxin::checkpoint {

struct ServiceOptions;

class Session {
 public:
  Session(const ServiceOptions& options, KeptStates* states, PartialTransfers* partials,
          Connection* connection)
      : options_(options), states_(states), partials_(partials), stream_(*connection) {}

  // Returns when the conversation has ended, by whatever.
  void run();

 private:
  Outcome answer(const FrameStream::Frame& frame);
  Outcome answer_offer(const OfferPayload& offer);
  Outcome answer_read(const PositionPayload& position);
  Outcome answer_list();
  Outcome answer_with(bool make, Outcome (*work)(MessageStore& store));
  // True: *outcome is the result of the offer, without a transfer.
  bool is_settled(KeptState& state, const OfferPayload& offer, Outcome* outcome);
  Outcome keep(KeptState& state, const MessageView& message);
  Outcome write_result_of(KeptState* state, const Outcome& outcome);

  const ServiceOptions& options_;
  KeptStates* const states_;
  PartialTransfers* const partials_;
  FrameStream stream_;
  std::string name_;
};

}  // namespace auxin::checkpoint
